// The five tables, as src/adapters/aws/dynamodb/tables.rs has them; a test compares the two.

/** A table's name after the prefix, its keys (all strings), and its indexes. */
export interface TableDefinition {
  name: string;
  key: [string, string];
  indexes: { name: string; key: [string, string]; projected: string[] }[];
  /** Whether items are removed after the time in their attribute `ttl`. */
  ttl: boolean;
}

export const TABLES: TableDefinition[] = [
  { name: "secrets", key: ["customerId", "secretId"], indexes: [], ttl: false },
  { name: "endpoints", key: ["customerId", "endpointId"], indexes: [], ttl: false },
  { name: "health", key: ["customerId", "endpointId"], indexes: [], ttl: false },
  {
    name: "deliveries",
    key: ["pk", "sk"],
    indexes: [
      { name: "dead-letters", key: ["deadShard", "deadOrder"], projected: ["endpointId", "reason"] },
      {
        name: "dead-letters-by-customer",
        key: ["customerId", "deadOrder"],
        projected: ["endpointId", "reason"],
      },
      {
        name: "deliveries-by-customer",
        key: ["recordedCustomer", "recordedOrder"],
        projected: ["endpointId", "recorded", "ttl"],
      },
    ],
    ttl: true,
  },
  { name: "control", key: ["pk", "sk"], indexes: [], ttl: true },
];
