// `npx cdk deploy --app 'node lib/app.js'`, or `node lib/app.js OUT` to write the template alone.
import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { stackProps } from "./context.js";
import { SealpostStack } from "./stack.js";

const [, , out] = process.argv;
const app = new App({
  ...(out && { outdir: out }),
  // Without it a bucket of logs is opened by its access control list, which is a thing of the past.
  context: { "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": true },
});
new SealpostStack(app, "Sealpost", stackProps((name) => app.node.tryGetContext(name)));
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
