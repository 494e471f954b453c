// What is chosen on the command line, as `-c NAME=VALUE`: README.md has the list.
import { type ComputeOptions } from "./compute.js";
import { type SealpostProps } from "./stack.js";

/** The values of a name, all of which are texts there. */
type Context = (name: string) => unknown;

/** One of these words, or nothing. */
function word<T extends string>(context: Context, name: string, words: readonly T[]): T | undefined {
  const given = context(name);
  if (given === undefined) return undefined;
  const found = words.find((known) => known === given);
  if (!found) throw new Error(`${name} is ${String(given)}: expected ${words.join(" or ")}`);
  return found;
}

function text(context: Context, name: string): string | undefined {
  const given = context(name);
  if (given !== undefined && typeof given !== "string") throw new Error(`${name}: expected a text`);
  return given;
}

/** ARNs between commas. */
function arns(context: Context, name: string): string[] {
  return text(context, name)?.split(",") ?? [];
}

export function stackProps(context: Context): SealpostProps {
  const tablePrefix = text(context, "tablePrefix");
  return {
    ...(tablePrefix !== undefined && { tablePrefix }),
    workerMay: {
      legacyKeys: arns(context, "legacyKeys"),
      assumeRoles: arns(context, "assumeRoles"),
      readSecrets: arns(context, "readSecrets"),
      readParameters: arns(context, "readParameters"),
    },
    fifo: word(context, "fifo", ["true", "false"]) === "true",
    compute: compute(context),
  };
}

function compute(context: Context): ComputeOptions {
  const worker = word(context, "worker", ["fargate", "lambda"]);
  const architecture = word(context, "architecture", ["arm64", "x86_64"]);
  const [image, certificate] = [text(context, "image"), text(context, "apiCertificate")];
  const callers = text(context, "apiCallers")?.split(",") ?? [];
  const [bucket, ...key] = text(context, "functionCode")?.split("/") ?? [];
  return {
    ...(worker && { worker }),
    ...(architecture && { architecture }),
    ...(image && { image }),
    ...(bucket && { functionCode: { bucket, key: key.join("/") } }),
    ...(certificate && { api: { certificate, callers } }),
    fixedAddress: word(context, "fixedAddress", ["true", "false"]) === "true",
  };
}
