// Reads the policies of a template, and says what a role may do: explicit denials first, then what is
// allowed, and nothing else ("Policy evaluation logic", IAM User Guide).
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { SealpostStack, type SealpostProps } from "../lib/stack.js";

type Json = Record<string, any>;

export interface Request {
  action: string;
  resource: string;
  context?: Record<string, string>;
}

export class Policies {
  readonly template: Json;

  constructor(props: SealpostProps = {}) {
    const app = new App();
    this.template = Template.fromStack(new SealpostStack(app, "Test", props)).toJSON();
  }

  /** The logical id of the resource whose id begins so. */
  id(type: string, begin: string): string {
    const found = Object.entries<Json>(this.template.Resources)
      .filter(([id, resource]) => resource.Type === type && id.startsWith(begin))
      .map(([id]) => id);
    const [id] = found;
    if (found.length !== 1 || !id) throw new Error(`${found.length} resources ${type} ${begin}`);
    return id;
  }

  /** Every statement of the role's own policies. */
  statements(role: string): Json[] {
    const id = this.id("AWS::IAM::Role", role);
    const policies = Object.values<Json>(this.template.Resources).filter(
      (resource) => resource.Type === "AWS::IAM::Policy" && resource.Properties.Roles.some((r: Json) => r.Ref === id),
    );
    return policies.flatMap((policy) => policy.Properties.PolicyDocument.Statement);
  }

  /** What the role's own policies say, of what belongs to no stack of ours. */
  ownMay(role: string, request: Request): boolean {
    const own = this.statements(role).filter((statement) => covers(statement, request));
    return own.length > 0 && own.every(({ Effect }) => Effect === "Allow");
  }

  may(role: string, request: Request): boolean {
    const own = this.statements(role);
    const key = this.template.Resources[this.id("AWS::KMS::Key", "StoreKey")];
    const ofKey: Json[] = request.action.startsWith("kms:") ? key.Properties.KeyPolicy.Statement : [];
    const denied: Json[] = [...own, ...ofKey.map((s) => ({ ...s, Resource: request.resource }))];
    if (denied.some((s) => s.Effect === "Deny" && covers(s, request))) return false;
    return own.some((s) => s.Effect === "Allow" && covers(s, request));
  }
}

function list<T>(one: T | T[]): T[] {
  return Array.isArray(one) ? one : [one];
}

/** A resource as text: what is known only when it is deployed stands for itself. */
export function text(value: unknown): string {
  if (typeof value === "string") return value;
  const { "Fn::GetAtt": get, "Fn::Join": join, Ref: ref } = value as Json;
  if (get) return get[0];
  if (join) return join[1].map(text).join(join[0]);
  return ref;
}

function matches(pattern: string, word: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*");
  return new RegExp(`^${source}$`).test(word);
}

function covers(statement: Json, { action, resource, context = {} }: Request): boolean {
  const conditions = Object.entries<Json>(statement.Condition ?? {});
  const holds = conditions.every(([operator, keys]) => {
    if (operator !== "Null") throw new Error(`the condition ${operator} is not known here`);
    return Object.entries(keys).every(([key, isNull]) => (isNull === "true") === !(key in context));
  });
  return (
    holds &&
    list<string>(statement.Action).some((pattern) => matches(pattern, action)) &&
    list<unknown>(statement.Resource).some((pattern) => matches(text(pattern), resource))
  );
}
