//! The key file: what stands in for a key service when there is none.
//!
//! A data key or a small value is wrapped with AES-256-GCM under a key of the file, bound to its
//! context. The wrapped form is `key id (16 bytes) | nonce (12) | ciphertext | tag (16)`. The file may hold several
//! keys: the first wraps, all unwrap. Another process may add and remove keys at any time, so the file
//! is read anew before anything is wrapped, and whenever a key is not known. [`changes`] writes it.

mod changes;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::adapters::system::random_bytes;
use crate::domain::secret::SecretBytes;
use crate::ports::keys::{Context, DataKey, MAX_WRAPPED, Unwrapped};
use crate::ports::{Error, OpenKeys, Result, SealKeys};
use crate::vault::context_bytes;

const KEY_LEN: usize = 32;
const ID_LEN: usize = 16;

type Id = [u8; ID_LEN];
type WrappingKeys = Arc<Vec<WrappingKey>>;

/// The keys of a key file.
pub struct KeyFile {
    path: PathBuf,
    /// As they were when the file was last read.
    keys: RwLock<WrappingKeys>,
    /// What this process has removed.
    removed: Mutex<Vec<DocumentKey>>,
}

struct WrappingKey {
    id: Id,
    key: LessSafeKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<DocumentKey>,
}

#[derive(Clone, Serialize, Deserialize)]
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
        if path.try_exists().unwrap_or(false) {
            return Self::open(path);
        }
        match Self::create(path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(refuse(path, &e.to_string())),
        }
        Self::open(path)
    }

    fn create(path: &Path) -> std::io::Result<()> {
        let document = Document { keys: vec![DocumentKey::new()] };
        // Written beside and linked into place, so that no other process reads half a file.
        let beside = write_beside(path, &document)?;
        let linked = std::fs::hard_link(&beside, path);
        std::fs::remove_file(&beside)?;
        linked?;
        sync_directory(path)
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// If there is none, it can be read by others, or is not a key file.
    pub fn open(path: &Path) -> Result<Self> {
        let keys = RwLock::new(Document::read(path)?.wrapping_keys(path)?);
        Ok(Self { path: path.to_owned(), keys, removed: Mutex::default() })
    }

    fn known(&self) -> WrappingKeys {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys as the file has them now. It is a few hundred bytes, so nobody is held up by reading it.
    fn read_anew(&self) -> Result<WrappingKeys> {
        let keys = Document::read(&self.path)?.wrapping_keys(&self.path)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
        Ok(keys)
    }

    /// The keys, `id` among them if the file has it.
    fn with(&self, id: &Id) -> Result<WrappingKeys> {
        let known = self.known();
        if known.iter().any(|key| key.id == *id) { Ok(known) } else { self.read_anew() }
    }
}

/// Writes the document into a new file beside `path`, readable by its owner only, and to the disk.
fn write_beside(path: &Path, document: &Document) -> std::io::Result<PathBuf> {
    let json = Zeroizing::new(serde_json::to_vec_pretty(document)?);
    let unique: String = random_bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    let beside = path.with_extension(format!("new-{unique}"));
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
    let written = file.write_all(&json).and_then(|()| file.sync_all());
    if let Err(error) = written {
        std::fs::remove_file(&beside)?;
        return Err(error);
    }
    Ok(beside)
}

/// What was linked into or renamed in the directory of `path` is on the disk.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(directory)?.sync_all()
}

impl Document {
    fn read(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| refuse(path, &e.to_string()))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(refuse(path, "others can read it: run `chmod 600` on it"));
        }
        let text = std::fs::read_to_string(path).map_err(|e| refuse(path, &e.to_string()))?;
        let text = Zeroizing::new(text);
        // The parser's message could quote the key, so it is not passed on.
        serde_json::from_str(&text)
            .map_err(|e| refuse(path, &format!("not a key file (line {})", e.line())))
    }

    fn wrapping_keys(&self, path: &Path) -> Result<WrappingKeys> {
        let keys: Option<Vec<WrappingKey>> = self.keys.iter().map(WrappingKey::parse).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Arc::new(keys)),
            Some(_) => Err(refuse(path, "it holds no key")),
            None => Err(refuse(path, "an id is not 16 bytes or a key not 32 bytes in base64")),
        }
    }
}

impl DocumentKey {
    fn new() -> Self {
        let key = Zeroizing::new(random_bytes::<KEY_LEN>());
        let id = BASE64_STANDARD.encode(random_bytes::<ID_LEN>());
        Self { id, key: BASE64_STANDARD.encode(*key) }
    }

    fn id(&self) -> Option<Id> {
        BASE64_STANDARD.decode(&self.id).ok()?.try_into().ok()
    }
}

impl WrappingKey {
    fn parse(document: &DocumentKey) -> Option<Self> {
        let id = document.id()?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(&document.key).ok()?);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        Some(Self { id, key })
    }
}

fn refuse(path: &Path, problem: &str) -> Error {
    Error::new("keys.open", format!("{}: {problem}", path.display()))
}

#[async_trait]
impl OpenKeys for KeyFile {
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        let parts = wrapped.split_first_chunk::<ID_LEN>().and_then(|(id, rest)| {
            rest.split_first_chunk::<NONCE_LEN>().map(|(nonce, sealed)| (id, nonce, sealed))
        });
        let Some((id, nonce, sealed)) = parts else {
            return Ok(Unwrapped::Refused("the wrapped key is cut short".to_owned()));
        };
        let keys = self.with(id)?;
        let Some(wrapping) = keys.iter().find(|key| key.id == *id) else {
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

#[async_trait]
impl SealKeys for KeyFile {
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
        // A key that was added since wraps from now on, whichever process added it.
        let keys = self.read_anew()?;
        let Some(wrapping) = keys.first() else {
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
}
