//! The way out: every call to an outside address goes through here.
//!
//! A URL is vetted as text when it is registered ([`guard::Guard::check_url`]), and every address
//! that its name resolves to is vetted again when it is dialled, inside the [`connector`], so that
//! nothing stands between the check and the connection. There are no redirects, and no proxy but the
//! operator's. Responses are read up to a cap and within the call's one deadline.

pub mod client;
mod connector;
mod failure;
mod frames;
pub mod guard;
pub mod notes;
mod pools;
pub mod probe;
mod progress;
pub mod proxy;
mod proxy_answer;
pub mod resolver;
mod response;
mod stream;
mod tls;
