// `npx cdk deploy --app 'node lib/app.js'`, or `node lib/app.js OUT` to write the template alone.
import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { SealpostStack } from "./stack.js";

const [, , out] = process.argv;
const app = new App(out ? { outdir: out } : {});
const context = (name: string): unknown => app.node.tryGetContext(name);
const prefix = context("tablePrefix");
new SealpostStack(app, "Sealpost", {
  ...(typeof prefix === "string" && { tablePrefix: prefix }),
  allowUnbound: context("allowUnbound") === "true",
  fifo: context("fifo") === "true",
});
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
