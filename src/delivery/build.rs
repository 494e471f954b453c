//! Admitted → built: method, URL, headers and body are as they will be sent, but for credentials.

use super::admit::Admitted;
use super::fill::{secret_path, untransformed};
use super::parameters::EventData;
use super::resolve::Resolved;
use super::spans::Traceparent;
use super::{Halt, Pipeline};
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::reason::Reason;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::target::MASK;
use crate::domain::verification::{Handshake, REQUEST_ORIGIN};
use crate::egress::guard::Guard;
use crate::transform::{Event, Made};
use url::Url;

/// A job with its request.
pub struct Built<'d> {
    /// The job, endpoint and secrets.
    pub resolved: Resolved<'d>,
    /// The request without credentials and secrets.
    pub request: OutboundRequest,
}

impl Pipeline {
    /// Builds the request of a job. To an endpoint that agreed to be called by this sender it says who
    /// that is.
    pub(super) fn build<'d>(&self, Admitted(resolved): Admitted<'d>) -> Result<Built<'d>, Halt> {
        let made = transformed(&resolved)?;
        let mut built = build(resolved, made, &self.guard, self.traceparent)?;
        self.say_origin(&mut built)?;
        Ok(built)
    }

    /// Sets the header that names the sender, where the endpoint's handshake is about it.
    pub(super) fn say_origin(&self, built: &mut Built<'_>) -> Result<(), Halt> {
        match built.resolved.known.endpoint.verification.map(|settings| settings.handshake) {
            Some(Handshake::Cloudevents) => {
                let origin = self.webhook_origin.as_ref().ok_or_else(|| {
                    let problem = "cloudevents needs the operator's setting egress.webhook_origin";
                    let error = FieldError::new("verification.handshake", problem);
                    Halt::DeadLetter(Reason::InvalidEndpoint, error.to_string())
                })?;
                let value = HeaderValue::Plain(origin.as_str().to_owned());
                built.request.set_header(REQUEST_ORIGIN, value);
            }
            Some(Handshake::Challenge) | None => {}
        }
        Ok(())
    }
}

/// Builds the request with a body.
pub fn build<'d>(
    resolved: Resolved<'d>,
    made: Made,
    guard: &Guard,
    traceparent: Traceparent,
) -> Result<Built<'d>, Halt> {
    let mut request = request(&resolved, made, traceparent)?;
    // The final URL, once more: a parameter may have changed what it means.
    let checked =
        guard.check_parsed(&request.url).map_err(|e| FieldError::new("url", e.to_string()));
    checked.map_err(refuse)?;
    // The secrets were opened for the endpoint's origin, and go nowhere else.
    if !resolved.known.endpoint.url.origin().is_of(&request.url) {
        return Err(refuse(FieldError::new("url", "its origin is not the endpoint's")));
    }
    request.secret_path = secret_path(&resolved)?;
    if request.url.path().matches(MASK).count() != request.secret_path.len() {
        let problem = "its path does not hold each secret once";
        return Err(refuse(FieldError::new("url", problem)));
    }
    if request.full_url().as_str().parse::<http::Uri>().is_err() {
        return Err(refuse(FieldError::new("url", "cannot be sent in a request")));
    }
    Ok(Built { resolved, request })
}

fn refuse(error: FieldError) -> Halt {
    Halt::DeadLetter(Reason::InvalidRequest, error.to_string())
}

/// The body, made of the job's.
fn transformed(resolved: &Resolved<'_>) -> Result<Made, Halt> {
    let (decoded, endpoint) = (resolved.decoded, &resolved.known.endpoint);
    let event = Event {
        id: &decoded.state.job_id,
        event_type: decoded.job.event_type.as_deref(),
        customer_id: &endpoint.customer_id,
        endpoint_id: &endpoint.endpoint_id,
        accepted_at: decoded.state.accepted_at,
        payload: &decoded.job.payload,
    };
    let made = resolved.known.transform.apply(&event);
    made.map_err(|e| Halt::DeadLetter(Reason::TransformFailed, e.to_string()))
}

fn request(
    resolved: &Resolved<'_>,
    made: Made,
    traceparent: Traceparent,
) -> Result<OutboundRequest, Halt> {
    let (job, endpoint) = (&resolved.decoded.job, &resolved.known.endpoint);
    let event = EventData::of(&job.payload);
    let mut request = OutboundRequest::new(endpoint.method, url(resolved, &event)?, made.bytes);
    request.connection = endpoint.connection();
    request.closes = endpoint.profile.closes_connections();
    let mut set =
        |name: &str, value: &str| request.set_header(name, HeaderValue::Plain(value.to_owned()));
    let (profile, id) = (endpoint.profile, resolved.decoded.state.job_id.as_str());
    set("user-agent", profile.user_agent());
    if profile.sends_ids() {
        set("webhook-id", id);
        set("idempotency-key", id);
    }
    let has_body = made.content_type.is_some() || !endpoint.body_parameters.is_empty();
    let content_type = made.content_type.as_deref().or(has_body.then_some("application/json"));
    if let Some(content_type) = content_type {
        set("content-type", profile.content_type(content_type));
    }
    let (trace, given) = (&resolved.decoded.trace, job.traceparent.as_deref());
    if let Some(traceparent) = traceparent.of(trace, given) {
        set("traceparent", &traceparent);
    }
    for (name, value) in made
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .chain(profile.fixed_headers().iter().copied())
    {
        set(name, value);
    }
    for named in &resolved.known.parameters.headers {
        if let Some(value) = named.text(&event).map_err(untransformed)? {
            let value = header::check_value(&value);
            let value = value.map_err(|e| untransformed(named.wrong(e.to_string())))?;
            set(&named.name, value);
        }
    }
    for (name, value) in &job.headers {
        if !profile.lets_be_set(name) {
            continue;
        }
        if endpoint.headers.keys().any(|own| own.eq_ignore_ascii_case(name)) {
            if profile.endpoint_wins() {
                continue;
            }
            let problem = "the endpoint sets this header itself";
            return Err(refuse(FieldError::new(format!("headers.{name}"), problem)));
        }
        set(name, value);
    }
    Ok(request)
}

/// The URL with its path and query, but for secrets.
fn url(resolved: &Resolved<'_>, event: &EventData<'_>) -> Result<Url, Halt> {
    let (job, known) = (&resolved.decoded.job, &resolved.known);
    let (endpoint, parameters) = (&known.endpoint, &known.parameters);
    let mut url = if parameters.path.is_empty() {
        endpoint.url.fill(&job.path_parameters).map_err(refuse)?
    } else if job.path_parameters.is_empty() || endpoint.profile.endpoint_wins() {
        let texts = parameters.path.iter().map(|named| named.text(event));
        // None is a secret: the endpoint's check sees to that.
        let texts: Vec<Option<String>> = texts.collect::<Result<_, _>>().map_err(untransformed)?;
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        endpoint.url.fill(&texts).map_err(untransformed)?
    } else {
        let problem = "the endpoint fills the wildcards of its URL itself";
        return Err(refuse(FieldError::new("pathParameters", problem)));
    };
    if parameters.query.is_empty() && job.query.is_empty() {
        return Ok(url);
    }
    let mut pairs = Vec::new();
    for named in &parameters.query {
        if let Some(value) = named.text(event).map_err(untransformed)? {
            pairs.push((named.name.as_str(), value));
        }
    }
    for (name, value) in &job.query {
        let is_set = endpoint.query.contains_key(name);
        if is_set && !endpoint.profile.endpoint_wins() {
            let problem = "the endpoint sets this parameter itself";
            return Err(refuse(FieldError::new(format!("query.{name}"), problem)));
        }
        if !is_set {
            pairs.push((name, value.clone()));
        }
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}
