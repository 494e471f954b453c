//! The key file: what stands in for a key service when there is none.
//!
//! A data key or a small value is wrapped with AES-256-GCM under a key of the file, bound to its
//! context. The wrapped form is `key id (16 bytes) | nonce (12) | ciphertext | tag (16)`. The file may hold several
//! keys: the first wraps, all unwrap.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::adapters::system::random_bytes;
use crate::domain::secret::SecretBytes;
use crate::ports::keys::{Context, DataKey, MAX_WRAPPED, Unwrapped};
use crate::ports::{Error, Keys, Result};
use crate::vault::context_bytes;

const KEY_LEN: usize = 32;
const ID_LEN: usize = 16;

/// The keys of a key file.
pub struct KeyFile {
    keys: Vec<WrappingKey>,
}

struct WrappingKey {
    id: [u8; ID_LEN],
    key: LessSafeKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<DocumentKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentKey {
    id: String,
    key: String,
}

impl Drop for DocumentKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl KeyFile {
    /// Reads the key file; makes one with a new key, readable by its owner only, if there is none.
    ///
    /// # Errors
    /// If the file can be read by others, or is not a key file.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        match Self::create(path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(refuse(path, &e.to_string())),
        }
        Self::open(path)
    }

    fn create(path: &Path) -> std::io::Result<()> {
        let key = Zeroizing::new(random_bytes::<KEY_LEN>());
        let id = BASE64_STANDARD.encode(random_bytes::<ID_LEN>());
        let document =
            Document { keys: vec![DocumentKey { id, key: BASE64_STANDARD.encode(*key) }] };
        let json = Zeroizing::new(serde_json::to_vec_pretty(&document)?);
        // Written beside and linked into place, so that no other process reads half a file.
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
        let linked = file
            .write_all(&json)
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::hard_link(&beside, path));
        std::fs::remove_file(&beside)?;
        linked?;
        let directory =
            path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(directory)?.sync_all()
    }

    fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| refuse(path, &e.to_string()))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(refuse(path, "others can read it: run `chmod 600` on it"));
        }
        let text = std::fs::read_to_string(path).map_err(|e| refuse(path, &e.to_string()))?;
        let text = Zeroizing::new(text);
        // The parser's message could quote the key, so it is not passed on.
        let document: Document = serde_json::from_str(&text)
            .map_err(|e| refuse(path, &format!("not a key file (line {})", e.line())))?;
        let keys: Option<Vec<WrappingKey>> = document.keys.iter().map(WrappingKey::parse).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            Some(_) => Err(refuse(path, "it holds no key")),
            None => Err(refuse(path, "an id is not 16 bytes or a key not 32 bytes in base64")),
        }
    }
}

impl WrappingKey {
    fn parse(document: &DocumentKey) -> Option<Self> {
        let id = BASE64_STANDARD.decode(&document.id).ok()?.try_into().ok()?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(&document.key).ok()?);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        Some(Self { id, key })
    }
}

fn refuse(path: &Path, problem: &str) -> Error {
    Error::new("keys.open", format!("{}: {problem}", path.display()))
}

#[async_trait]
impl Keys for KeyFile {
    async fn generate(&self, context: &Context) -> Result<DataKey> {
        let plain = SecretBytes::new(random_bytes::<KEY_LEN>().to_vec());
        let wrapped = self.wrap(&plain, context).await?;
        Ok(DataKey { plain, wrapped })
    }

    async fn wrap(&self, value: &SecretBytes, context: &Context) -> Result<Vec<u8>> {
        if value.expose().len() > MAX_WRAPPED {
            let problem = format!("a value of more than {MAX_WRAPPED} bytes cannot be wrapped");
            return Err(Error::new("keys.wrap", problem));
        }
        let Some(wrapping) = self.keys.first() else {
            return Err(Error::new("keys.wrap", "the key file holds no key"));
        };
        let nonce = random_bytes::<NONCE_LEN>();
        let mut sealed = Zeroizing::new(value.expose().to_vec());
        let tag = wrapping
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context_bytes(context)),
                &mut sealed,
            )
            .map_err(|_| Error::new("keys.wrap", "encryption failed"))?;
        Ok([&wrapping.id[..], &nonce, &sealed, tag.as_ref()].concat())
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        let parts = wrapped.split_first_chunk::<ID_LEN>().and_then(|(id, rest)| {
            rest.split_first_chunk::<NONCE_LEN>().map(|(nonce, sealed)| (id, nonce, sealed))
        });
        let Some((id, nonce, sealed)) = parts else {
            return Ok(Unwrapped::Refused("the wrapped key is cut short".to_owned()));
        };
        let Some(wrapping) = self.keys.iter().find(|key| key.id == *id) else {
            return Ok(Unwrapped::Refused(
                "it was wrapped with a key that is not in the key file".to_owned(),
            ));
        };
        let mut opened = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match wrapping.key.open_in_place(nonce, Aad::from(context_bytes(context)), &mut opened) {
            Ok(plain) => Ok(Unwrapped::Opened(SecretBytes::new(plain.to_vec()))),
            Err(_) => {
                Ok(Unwrapped::Refused("the wrapped key does not open in this context".to_owned()))
            }
        }
    }
}
