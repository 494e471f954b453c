//! A browser without scripts: it keeps the session's cookie, and sends the token of the page's forms.

use url::form_urlencoded::Serializer;

use crate::server::{Reply, Server};

/// Somebody who is signed in.
pub struct Browser<'s> {
    pub server: &'s Server,
    /// As it is sent: `name=text`.
    pub cookie: String,
    pub csrf: String,
    /// More headers, sent with every request.
    pub headers: Vec<(&'static str, String)>,
}

impl<'s> Browser<'s> {
    /// Signs in at the console with a key.
    pub async fn operator(server: &'s Server, key: &str) -> Self {
        let reply = post(server, "/console/login", &[], &[("key", key)]).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        Self::with(server, &reply, "/console/customers").await
    }

    /// Signs in at the customer's page with a token.
    pub async fn customer(server: &'s Server, token: &str) -> Self {
        let reply = post(server, "/customer/session", &[], &[("token", token)]).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/customer"), "{reply:?}");
        Self::with(server, &reply, "/customer").await
    }

    /// With the cookie of a reply, and the token of a page.
    pub async fn with(server: &'s Server, reply: &Reply, page: &str) -> Self {
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        let mut browser = Self { server, cookie, csrf: String::new(), headers: Vec::new() };
        browser.csrf = csrf(&browser.page(page).await).to_owned();
        browser
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.server.send("GET", path, &self.sent(), "".into()).await
    }

    /// A page that has to be there.
    pub async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.text
    }

    /// Sends a form of one of the session's own pages.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let fields = [&[("csrf", self.csrf.as_str())], fields].concat();
        self.post_as_it_is(path, &fields).await
    }

    /// Sends a form that has to be taken; the page that follows it.
    pub async fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.post(path, fields).await;
        assert_eq!(reply.status, 303, "{path}: {reply:?}");
        self.page(reply.header("location")).await
    }

    /// Sends a form without the token.
    pub async fn post_as_it_is(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        post(self.server, path, &self.sent(), fields).await
    }

    fn sent(&self) -> Vec<(&str, &str)> {
        let more = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        std::iter::once(("cookie", self.cookie.as_str())).chain(more).collect()
    }
}

/// Sends a form.
pub async fn post(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Reply {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    server.send("POST", path, &[headers, &[kind]].concat(), body.into()).await
}

/// The token of the first form on a page.
pub fn csrf(page: &str) -> &str {
    let rest = page.split("name=\"csrf\" value=\"").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("there is no form in {page}"));
    rest.split('"').next().unwrap()
}
