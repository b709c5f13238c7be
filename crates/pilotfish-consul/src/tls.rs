//! TLS towards Consul. Nothing here runs, and no certificate is read, before the first `https` connection.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::TlsConfig;

/// Builds the TLS client when it is first needed.
pub(crate) struct Tls {
    config: TlsConfig,
    built: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    pub(crate) fn new(config: TlsConfig) -> Tls {
        Tls { config, built: Mutex::new(None) }
    }

    /// The client configuration, read from the files on first use.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let mut built = self.built.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(client) = &*built {
            return Ok(client.clone());
        }
        let client = Arc::new(build(&self.config)?);
        *built = Some(client.clone());
        Ok(client)
    }

    /// Forgets what was read, so that the next connection sees renewed certificates. Called when a handshake has failed.
    pub(crate) fn forget(&self) {
        *self.built.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }

    /// The name that the server's certificate must carry.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, String> {
        let name = self.config.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned())
            .map_err(|_| format!("{name:?} is no server name; set CONSUL_TLS_SERVER_NAME"))
    }
}

fn build(config: &TlsConfig) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if config.verify {
        builder.with_root_certificates(roots(config)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
    };
    match (&config.client_certificate, &config.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key_file)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key_file)
                .map_err(|error| format!("cannot read client key {}: {error}", key_file.display()))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                format!("client certificate {} and its key do not fit: {error}", certificate.display())
            })
        }
        _ => {
            Err("a client certificate and its key go together; set both CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY"
                .into())
        }
    }
}

/// The trusted authorities: the configured file and directory, or else the system's.
fn roots(config: &TlsConfig) -> Result<RootCertStore, String> {
    let mut found = Vec::new();
    if let Some(file) = &config.ca_file {
        found.extend(certificates(file)?);
    }
    if let Some(directory) = &config.ca_path {
        let unreadable = |error| format!("cannot read CA path {}: {error}", directory.display());
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.is_file() {
                found.extend(certificates(&file)?);
            }
        }
    }
    if config.ca_file.is_none() && config.ca_path.is_none() {
        found.extend(rustls_native_certs::load_native_certs().certs);
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        return Err("no CA certificate found; set CONSUL_CACERT or CONSUL_CAPATH".into());
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong =
        |error: rustls::pki_types::pem::Error| format!("cannot read certificates of {}: {error}", file.display());
    CertificateDer::pem_file_iter(file).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)
}

/// Accepts any certificate: `CONSUL_HTTP_SSL_VERIFY=false`. Signatures are still checked, so that the peer owns what it shows.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
