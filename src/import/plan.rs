//! Every API destination of an account with every target that uses it, as an endpoint.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::account::{Account, ApiDestination, Connection, Rule, Target};
use super::values::Part;
use super::{Finding, connection, target};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, EndpointId, SecretId};

/// Whose endpoint an API destination becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Who {
    /// The customer.
    #[serde(rename = "customerId")]
    pub customer: CustomerId,
    /// The endpoint.
    #[serde(rename = "endpointId")]
    pub endpoint: EndpointId,
}

/// One endpoint to be.
#[derive(Debug)]
pub struct Import {
    /// The API destination's name.
    pub destination: String,
    /// The rule, if one sends there: its name and its bus.
    pub rule: Option<(String, Option<String>)>,
    /// Whose it becomes, if the names can be used.
    pub who: Option<Who>,
    /// The endpoint, if everything maps.
    pub endpoint: Option<Endpoint>,
    /// The secrets that it names: the id, and which value of the connection.
    pub secrets: Vec<(SecretId, Part)>,
    /// The secret of Secrets Manager that has the values.
    pub secret_arn: Option<String>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
}

/// All of them, and what is left over.
#[derive(Debug)]
pub struct Plan {
    /// In order of the API destinations' names.
    pub imports: Vec<Import>,
    /// Connections that no API destination uses.
    pub unused: Vec<String>,
}

/// Plans the import of an account. `whose` names the customer of API destinations, by their names;
/// all others become the customer's `usual`.
pub fn plan(account: &Account, whose: &BTreeMap<String, Who>, usual: Option<&CustomerId>) -> Plan {
    let mut destinations: Vec<&ApiDestination> = account.destinations.iter().collect();
    destinations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut imports = Vec::new();
    for destination in destinations {
        let uses = uses(account, destination);
        if uses.is_empty() {
            imports.push(import(account, destination, None, (whose, usual), None));
        }
        let several = uses.len() > 1;
        for (rule, target) in &uses {
            let twice = uses.iter().filter(|(other, _)| other.arn == rule.arn).count() > 1;
            let own = match (several, twice) {
                (false, _) => None,
                (true, false) => Some(rule.name.clone()),
                (true, true) => Some(format!("{}.{}", rule.name, target.id)),
            };
            let of = Some((*rule, *target));
            imports.push(import(account, destination, of, (whose, usual), own.as_deref()));
        }
    }
    let used: BTreeSet<&str> =
        account.destinations.iter().map(|d| d.connection_arn.as_str()).collect();
    let unused = account.connections.iter().filter(|c| !used.contains(c.connection_arn.as_str()));
    Plan { imports, unused: unused.map(|c| c.name.clone()).collect() }
}

/// The targets of rules that are this API destination, in an order that does not depend on how they were read.
fn uses<'a>(account: &'a Account, destination: &ApiDestination) -> Vec<(&'a Rule, &'a Target)> {
    let of_rule = |rule: &'a Rule| rule.targets.iter().map(move |target| (rule, target));
    let all = account.rules.iter().flat_map(of_rule);
    let mut uses: Vec<_> =
        all.filter(|(_, target)| target.arn == destination.api_destination_arn).collect();
    uses.sort_by_key(|(rule, target)| (&rule.name, &rule.arn, &target.id));
    uses
}

type Names<'n> = (&'n BTreeMap<String, Who>, Option<&'n CustomerId>);

fn import(
    account: &Account,
    destination: &ApiDestination,
    of: Option<(&Rule, &Target)>,
    names: Names<'_>,
    own: Option<&str>,
) -> Import {
    let mut import = Import {
        destination: destination.name.clone(),
        rule: of.map(|(rule, _)| (rule.name.clone(), rule.event_bus_name.clone())),
        who: None,
        endpoint: None,
        secrets: Vec::new(),
        secret_arn: None,
        findings: Vec::new(),
    };
    match who(destination, names, own) {
        Ok(who) => import.who = Some(who),
        Err(problem) => import.findings.push(Finding::Missing(problem)),
    }
    let connection =
        account.connections.iter().find(|c| c.connection_arn == destination.connection_arn);
    let Some(connection) = connection else {
        let arn = &destination.connection_arn;
        import.findings.push(Finding::Missing(format!("its connection {arn} was not read")));
        return import;
    };
    import.secret_arn.clone_from(&connection.secret_arn);
    import.fill(destination, connection, of);
    import
}

/// Whose it becomes. One of several endpoints of an API destination has `own` in its id.
fn who(destination: &ApiDestination, names: Names<'_>, own: Option<&str>) -> Result<Who, String> {
    let (whose, usual) = names;
    let named = whose.get(&destination.name);
    let base = named.map_or(destination.name.as_str(), |who| who.endpoint.as_str());
    let customer = named.map(|who| &who.customer).or(usual).cloned();
    let customer = customer
        .ok_or("nobody says whose it is: give --customer, or name it in the file of --map")?;
    let id = own.map_or_else(|| base.to_owned(), |own| format!("{base}.{own}"));
    let endpoint = id.parse().map_err(|e| format!("{e}: name it in the file of --map"))?;
    Ok(Who { customer, endpoint })
}

impl Import {
    fn fill(
        &mut self,
        destination: &ApiDestination,
        connection: &Connection,
        of: Option<(&Rule, &Target)>,
    ) {
        let mut authorized = connection::map(connection);
        self.findings.append(&mut authorized.findings);
        let mut target = match of {
            Some((rule, target)) => target::map(rule, target),
            None => {
                let what =
                    "no rule sends there: path parameters, input and retries are left as they are";
                self.findings.push(Finding::Change(what.to_owned()));
                target::Mapped::default()
            }
        };
        self.findings.append(&mut target.findings);
        if destination.api_destination_state.as_deref() == Some("INACTIVE") {
            let what = "the API destination is INACTIVE, because its connection is not authorized";
            self.findings.push(Finding::Change(what.to_owned()));
        }
        for (id, part) in authorized.secrets {
            match id.parse::<SecretId>() {
                Ok(id) => self.secrets.push((id, part)),
                Err(e) => self.findings.push(Finding::Missing(e.to_string())),
            }
        }
        let Some(who) = &self.who else { return };
        let mut endpoint = target.members;
        endpoint.insert("customerId".to_owned(), json!(who.customer));
        endpoint.insert("endpointId".to_owned(), json!(who.endpoint));
        endpoint.insert("profile".to_owned(), json!("eventbridge"));
        endpoint.insert("url".to_owned(), json!(destination.invocation_endpoint));
        endpoint.insert("method".to_owned(), json!(destination.http_method));
        endpoint.insert("auth".to_owned(), Value::Array(authorized.auth));
        let same_header = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let headers = over(authorized.headers, target.headers, same_header);
        endpoint.insert("headers".to_owned(), headers);
        endpoint.insert("query".to_owned(), over(authorized.query, target.query, |a, b| a == b));
        endpoint.insert("bodyParameters".to_owned(), Value::Object(authorized.body));
        if let Some(rate) = destination.invocation_rate_limit_per_second {
            endpoint.insert("limits".to_owned(), json!({"rate": format!("{rate}/s")}));
        }
        match Endpoint::from_json(&Value::Object(endpoint).to_string()) {
            Ok(endpoint) => self.endpoint = Some(endpoint),
            Err(e) => self.findings.push(Finding::Missing(e.to_string())),
        }
    }

    /// Whether it can be written.
    pub fn is_whole(&self) -> bool {
        self.endpoint.is_some()
            && !self.findings.iter().any(|finding| matches!(finding, Finding::Missing(_)))
    }
}

/// The connection's parameters, and those of the target that it does not have (API Reference,
/// "HttpParameters").
fn over(
    mut connection: Map<String, Value>,
    target: Map<String, Value>,
    same: impl Fn(&str, &str) -> bool,
) -> Value {
    for (key, value) in target {
        if !connection.keys().any(|known| same(known, &key)) {
            connection.insert(key, value);
        }
    }
    Value::Object(connection)
}
