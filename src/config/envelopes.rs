//! `[envelopes]`: where messages of others name customer, endpoint and type.

pub use crate::domain::envelope::Pointers as EnvelopesConfig;
