//! The signature base (RFC 9421 section 2.5): what is signed.

use zeroize::Zeroizing;

use super::component::{Component, Message};
use super::fields::{self, InnerList, Parameters};

/// What is signed, and how `Signature-Input` says so.
pub struct Base {
    /// The bytes that are signed. They hold what the headers hold, credentials included.
    pub text: Zeroizing<String>,
    /// The value under the label in `Signature-Input`.
    pub input: String,
}

/// The signature base of `components` in `message`.
///
/// # Errors
/// If the request lacks one of them.
pub fn signature_base(
    message: &Message<'_>,
    components: &[Component],
    parameters: Parameters,
) -> Result<Base, String> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    for component in components {
        fields::push_item(&mut text, component.item());
        text.push_str(": ");
        component.push_value(&mut text, message)?;
        text.push('\n');
    }
    let items = components.iter().map(|component| component.item().clone()).collect();
    let mut input = String::with_capacity(128);
    fields::push_list(&mut input, &InnerList { items, parameters });
    text.push_str("\"@signature-params\": ");
    text.push_str(&input);
    Ok(Base { text, input })
}
