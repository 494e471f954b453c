//! Every route of the pages, read from where they are declared: a new one cannot be forgotten.

/// One page, or one form's target.
#[derive(Debug, Clone)]
pub struct Route {
    pub method: &'static str,
    /// With `acme` as the customer and `orders` as whatever is named.
    pub path: String,
}

/// The routes of the operator's console that need a session.
pub fn of_operator() -> Vec<Route> {
    let (realms, shared) = declared();
    let mut routes: Vec<Route> =
        realms.into_iter().filter(|route| route.path.starts_with("/console")).collect();
    routes.extend(under("/console/customers/acme", &shared));
    routes.retain(|route| route.path != "/console/login");
    assert!(routes.len() > 35, "{routes:?}");
    routes
}

/// The routes of the customer's page that need a session.
pub fn of_customer() -> Vec<Route> {
    let (realms, shared) = declared();
    let mut routes: Vec<Route> =
        realms.into_iter().filter(|route| route.path.starts_with("/customer/")).collect();
    routes.extend(under("/customer", &shared));
    routes.retain(|route| !["/customer/enter", "/customer/session"].contains(&&*route.path));
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

fn under(base: &str, shared: &[Route]) -> Vec<Route> {
    let path = |path: &str| format!("{base}{}", if path == "/" { "" } else { path });
    shared.iter().map(|route| Route { path: path(&route.path), ..route.clone() }).collect()
}

/// The routes with whole paths, and those under a customer.
fn declared() -> (Vec<Route>, Vec<Route>) {
    let source = include_str!("../../../src/console/mod.rs");
    let mut routes = Vec::new();
    for declared in source.split(".route(").skip(1) {
        let path = declared.split('"').nth(1).unwrap();
        let handlers = declared.split(')').take(2).collect::<String>();
        for (word, method) in [("get(", "GET"), ("post(", "POST")] {
            if handlers.contains(word) && !path.contains('*') {
                let path = path.replace("{customer}", "acme").replace("{id}", "orders");
                routes.push(Route { method, path });
            }
        }
    }
    let whole =
        |route: &Route| route.path.starts_with("/console") || route.path.starts_with("/customer/");
    routes.into_iter().partition(whole)
}
