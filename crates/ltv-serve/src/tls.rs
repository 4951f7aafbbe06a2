//! Certificates: read when the server starts, and again when they change.

use crate::{Log, ServeError, TlsFiles};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    fmt, fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};
use tokio_rustls::TlsAcceptor;

/// What a client may choose from, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate that connections are encrypted with.
pub(crate) struct Tls {
    files: TlsFiles,
    acceptor: RwLock<TlsAcceptor>,
    /// Certificate and key when they were last looked at, usable or not.
    seen: Mutex<Option<Pem>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish()
    }
}

/// The two files.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn open(files: &TlsFiles) -> Result<Self, ServeError> {
        let pem = Pem::read(files)?;
        let acceptor = acceptor(files, &pem)?;
        Ok(Self {
            files: files.clone(),
            acceptor: RwLock::new(acceptor),
            seen: Mutex::new(Some(pem)),
        })
    }

    /// What the next connection is accepted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let acceptor = self.acceptor.read();
        acceptor.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again if they have changed. False where they cannot be used, which is warned of once.
    pub(crate) fn reload(&self, log: &dyn Log) -> bool {
        let found = Pem::read(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found.as_ref().ok() == seen.as_ref() {
            return true;
        }
        let path = self.files.certificate.display();
        let made = found.and_then(|pem| {
            let acceptor = acceptor(&self.files, &pem);
            *seen = Some(pem);
            acceptor
        });
        match made {
            Ok(acceptor) => {
                let mut current = self.acceptor.write();
                **current.as_mut().unwrap_or_else(|e| e.get_mut()) = acceptor;
                log.note(&format!("{path}: new connections get this certificate"));
                true
            }
            Err(error) => {
                log.warning(&format!("{error}; the certificate from before stays"));
                false
            }
        }
    }
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, ServeError> {
        let read = |path: &Path| fs::read(path).map_err(|e| ltv_core::Error::io(path, "read", e));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
        })
    }
}

fn acceptor(files: &TlsFiles, pem: &Pem) -> Result<TlsAcceptor, ServeError> {
    let wrong = |path: &Path, problem: String| ServeError::Tls {
        path: path.to_path_buf(),
        problem,
    };
    let chain = CertificateDer::pem_slice_iter(&pem.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong(&files.certificate, format!("cannot be read as PEM ({e})")))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem.key)
        .map_err(|e| wrong(&files.key, format!("holds no private key ({e})")))?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ServeError::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| {
            wrong(
                &files.certificate,
                format!("does not go with the key ({e})"),
            )
        })?;
    config.alpn_protocols = PROTOCOLS.iter().map(|p| p.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::log::Silent;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    fn write(files: &TlsFiles) -> CertifiedKey<rcgen::KeyPair> {
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made
    }

    #[test]
    fn what_cannot_be_used_is_said_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let first = write(&files);
        let tls = Tls::open(&files).unwrap();
        assert!(tls.reload(&Silent));
        let before = Arc::as_ptr(tls.acceptor().config());
        // A certificate without its key is half of a change.
        write(&files);
        fs::write(&files.key, first.signing_key.serialize_pem()).unwrap();
        assert!(!tls.reload(&Silent) && tls.reload(&Silent));
        assert_eq!(Arc::as_ptr(tls.acceptor().config()), before);
        let error = Tls::open(&files).unwrap_err().to_string();
        assert!(error.contains("does not go with the key"), "{error}");
        write(&files);
        assert!(tls.reload(&Silent));
        assert_ne!(Arc::as_ptr(tls.acceptor().config()), before);
        fs::write(&files.key, "nonsense").unwrap();
        let error = Tls::open(&files).unwrap_err().to_string();
        assert!(error.contains("key.pem: holds no private key"), "{error}");
        fs::write(&files.certificate, "nonsense").unwrap();
        let error = Tls::open(&files).unwrap_err().to_string();
        assert!(error.contains("cert.pem: holds no certificate"), "{error}");
    }
}
