//! A certificate authority made for one test, with a certificate for a server and one for a client.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// PEM files in a directory that goes away with this value.
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// Makes an authority, a server certificate for `server.dc1.consul`, `localhost` and `127.0.0.1`, and a client certificate.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub fn new() -> Certificates {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let key = KeyPair::generate().expect("keys can be generated");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("a certificate can sign itself");
        write(directory.path(), "ca.pem", &ca.pem());
        let issuer = Issuer::new(params, key);
        let made = Certificates { directory };
        made.sign(
            &issuer,
            "server",
            &["server.dc1.consul", "localhost", "127.0.0.1"],
            ExtendedKeyUsagePurpose::ServerAuth,
        );
        made.sign(&issuer, "client", &["client.dc1.consul"], ExtendedKeyUsagePurpose::ClientAuth);
        made
    }

    fn sign(&self, issuer: &Issuer<'_, KeyPair>, name: &str, names: &[&str], purpose: ExtendedKeyUsagePurpose) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("keys can be generated");
        let certificate = params.signed_by(&key, issuer).expect("the authority can sign");
        write(self.directory.path(), &format!("{name}.pem"), &certificate.pem());
        write(self.directory.path(), &format!("{name}-key.pem"), &key.serialize_pem());
    }

    /// Directory of the files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// One of the files: `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Default for Certificates {
    fn default() -> Certificates {
        Certificates::new()
    }
}

fn write(directory: &Path, name: &str, pem: &str) {
    std::fs::write(directory.join(name), pem).expect("a file in a temporary directory can be written");
}
