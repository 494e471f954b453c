//! The auth steps of one endpoint, in order.

use url::Url;

use super::need::{Grant, Need};
use super::{AuthError, Call, Part, REGISTRY, Step, scheme};
use crate::domain::endpoint::AuthStep;
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::OutboundRequest;
use crate::domain::secret::{Facts, SecretBytes};

/// The steps of an endpoint, in order.
pub struct Chain(Vec<Box<dyn Step>>);

impl Chain {
    /// Checks the auth steps of an endpoint. `taken` are the parts that the endpoint itself sets.
    ///
    /// # Errors
    /// With the path of what is wrong: an unknown scheme, a wrong setting, two that set the same, or
    /// one that changes what an earlier one signs.
    pub fn compile(
        steps: &[AuthStep],
        taken: impl Iterator<Item = Part>,
    ) -> Result<Self, FieldError> {
        let mut set: Vec<Part> = taken.collect();
        let mut covers_url = None;
        // The first step that sets something but the body: what it sets may be made of the body.
        let mut sets_else = None;
        let mut chain = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let path = format!("auth[{index}]");
            let scheme = scheme(&step.scheme).ok_or_else(|| {
                let known: Vec<&str> = REGISTRY.iter().map(|scheme| scheme.name()).collect();
                let problem = format!(
                    "{:?} is not a scheme: expected one of {}",
                    step.scheme,
                    known.join(", ")
                );
                FieldError::new(format!("{path}.scheme"), problem)
            })?;
            let compiled = scheme.compile(&step.settings).map_err(|e| e.under(&path))?;
            for part in compiled.sets() {
                if set.contains(&part) {
                    let problem = format!("{part:?} is set twice: by another step or the endpoint");
                    return Err(FieldError::new(path, problem));
                }
                if let (Part::Query(_), Some(signing)) = (&part, covers_url) {
                    let problem = format!(
                        "adds to the URL, which auth[{signing}] signs: put it before that step"
                    );
                    return Err(FieldError::new(path, problem));
                }
                if let (Part::Body(_), Some(earlier)) = (&part, sets_else) {
                    let problem = format!(
                        "changes the body, which auth[{earlier}] may sign: put it before that step"
                    );
                    return Err(FieldError::new(path, problem));
                }
                set.push(part);
            }
            let is_else = compiled.sets().iter().any(|part| !matches!(part, Part::Body(_)));
            sets_else = sets_else.or(is_else.then_some(index));
            if let Some(signing) = covers_url.filter(|_| compiled.rewrites_url()) {
                let problem = format!(
                    "spells the URL anew, which auth[{signing}] signs: put it before that step"
                );
                return Err(FieldError::new(path, problem));
            }
            covers_url = covers_url.or(compiled.covers_url().then_some(index));
            chain.push(compiled);
        }
        Ok(Self(chain))
    }

    /// The steps.
    pub fn steps(&self) -> &[Box<dyn Step>] {
        &self.0
    }

    /// Every secret that a step needs, each once.
    pub fn secrets(&self) -> Vec<SecretId> {
        let mut ids: Vec<SecretId> =
            self.0.iter().flat_map(|step| step.secrets()).cloned().collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The places besides the endpoint that a secret goes to.
    pub fn places_of<'c>(&'c self, secret: &'c SecretId) -> impl Iterator<Item = &'c Url> {
        let using = self.0.iter().filter(move |step| step.secrets().contains(&secret));
        using.flat_map(|step| step.places()).map(|(_, url)| url)
    }

    /// All places besides the endpoint that secrets go to, each with the path of its setting.
    pub fn places(&self) -> impl Iterator<Item = (String, &Url)> {
        self.0.iter().enumerate().flat_map(|(index, step)| {
            let named = move |(name, url)| (format!("auth[{index}].{name}"), url);
            step.places().into_iter().map(named)
        })
    }

    /// What each step needs, in order.
    pub fn needs(&self) -> impl Iterator<Item = Option<Need<'_>>> {
        self.0.iter().map(|step| step.need())
    }

    /// The parts of the request that the steps set.
    pub fn sets(&self) -> impl Iterator<Item = Part> {
        self.0.iter().flat_map(|step| step.sets())
    }

    /// Checks a value that is to be a secret of the steps.
    ///
    /// # Errors
    /// With the path of the step that could not be applied with it.
    pub fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), FieldError> {
        let using = self.0.iter().enumerate().filter(|(_, s)| s.secrets().contains(&secret));
        for (index, step) in using {
            let wrong = |e: AuthError| FieldError::new(format!("auth[{index}]"), e.to_string());
            step.check_secret(secret, value).map_err(wrong)?;
        }
        Ok(())
    }

    /// Checks what is known of a stored value that is to be a secret of the steps.
    ///
    /// # Errors
    /// With the path of the step that could not be applied with it.
    pub fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), FieldError> {
        let using = self.0.iter().enumerate().filter(|(_, s)| s.secrets().contains(&secret));
        for (index, step) in using {
            let wrong = |e: AuthError| FieldError::new(format!("auth[{index}]"), e.to_string());
            step.check_facts(secret, facts).map_err(wrong)?;
        }
        Ok(())
    }

    /// Applies every step, in order. `grants` are what their needs gave, as many as there are steps.
    ///
    /// # Errors
    /// If one cannot be applied; then nothing may be sent.
    pub fn apply(
        &self,
        request: &mut OutboundRequest,
        call: &Call<'_>,
        grants: &[Option<Grant>],
    ) -> Result<(), AuthError> {
        for (index, step) in self.0.iter().enumerate() {
            let grant = grants.get(index).and_then(Option::as_ref);
            step.apply(request, &Call { grant, ..*call })?;
        }
        Ok(())
    }

    /// Applies to a request that carries no message those steps alone that a server needs before it
    /// can ask for anything: the certificate.
    ///
    /// # Errors
    /// As [`Chain::apply`].
    pub fn apply_to_opening(
        &self,
        request: &mut OutboundRequest,
        call: &Call<'_>,
    ) -> Result<(), AuthError> {
        let mut steps = self.0.iter().filter(|step| step.sets().contains(&Part::Identity));
        steps.try_for_each(|step| step.apply(request, call))
    }
}
