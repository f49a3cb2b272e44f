//! TLS over a socket that does not wait. The only file that knows `rustls`: its buffered interface takes and gives bytes and makes no call of the system.

use super::socket::Socket;
use crate::support::{failure, io_error};
use heddle_vm::io::Faults;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Connection, ServerConnection};
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

pub(in crate::modules) use rustls::ServerConfig;

/// What clients trust if nothing else is said. It is what the system says, so all engines share it; it is read once.
static SYSTEM: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A connection's security.
pub(in crate::modules) struct Session(Connection);

/// The socket as `rustls` sees it.
struct Wire<'a>(&'a mut Socket, Faults<'a>);

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into, self.1).map(|(n, _)| n)
    }
}
impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes, self.1)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Session {
    pub(in crate::modules) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Session> {
        let connection = ClientConnection::new(config, name).map_err(tls_error)?;
        Ok(Session(connection.into()))
    }
    pub(in crate::modules) fn server(config: &Arc<ServerConfig>) -> io::Result<Session> {
        let connection = ServerConnection::new(config.clone()).map_err(tls_error)?;
        Ok(Session(connection.into()))
    }
    pub(in crate::modules) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }
    /// Whether something is to be sent before more can be received.
    pub(in crate::modules) fn has_output(&self) -> bool {
        self.0.wants_write()
    }
    pub(in crate::modules) fn alpn(&self) -> Option<&[u8]> {
        self.0.alpn_protocol()
    }
    pub(in crate::modules) fn version(&self) -> Option<&'static str> {
        self.0.protocol_version()?.as_str()
    }
    /// Sends what is to be sent.
    pub(in crate::modules) fn flush(
        &mut self,
        socket: &mut Socket,
        faults: Faults<'_>,
    ) -> io::Result<()> {
        while self.0.wants_write() {
            if self.0.write_tls(&mut Wire(socket, faults))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
    /// Receives some more; `false`: there will be no more.
    pub(in crate::modules) fn receive(
        &mut self,
        socket: &mut Socket,
        faults: Faults<'_>,
    ) -> io::Result<bool> {
        let n = self.0.read_tls(&mut Wire(socket, faults))?;
        if let Err(error) = self.0.process_new_packets() {
            // It tells the other side why, if it can.
            let _ = self.flush(socket, faults);
            return Err(tls_error(error));
        }
        if n == 0 && self.is_handshaking() {
            return Err(failure(
                "ended",
                "the connection ended before it was secured",
            ));
        }
        Ok(n > 0)
    }
    pub(in crate::modules) fn read(
        &mut self,
        into: &mut [u8],
        socket: &mut Socket,
        faults: Faults<'_>,
    ) -> io::Result<usize> {
        loop {
            match self.0.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The other side did not say that this is the end, so it may be none.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(failure("truncated", "the connection was cut off"));
                }
                done => return done,
            }
            // An answer to what was received; whoever writes next sends it otherwise.
            match self.flush(socket, faults) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            self.receive(socket, faults)?;
        }
    }
    /// Takes bytes to send; `flush` sends them.
    pub(in crate::modules) fn accept(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.writer().write(bytes)
    }
    /// Says that nothing more will be sent.
    pub(in crate::modules) fn end(&mut self) {
        self.0.send_close_notify();
    }
}

/// An error in words: what is wrong with the certificate, or with what the other side says.
fn tls_error(error: rustls::Error) -> io::Error {
    let (kind, text) = match &error {
        rustls::Error::InvalidCertificate(wrong) => ("certificate", certificate_error(wrong)),
        rustls::Error::NoCertificatesPresented => {
            ("certificate", "it showed no certificate".to_string())
        }
        rustls::Error::AlertReceived(alert) => {
            ("tls", format!("the other side refused: {alert:?}"))
        }
        rustls::Error::InvalidMessage(_) => ("tls", "this is no TLS".to_string()),
        rustls::Error::NoApplicationProtocol => ("tls", "there is no common protocol".to_string()),
        _ => ("tls", error.to_string()),
    };
    failure(kind, &text)
}
/// What is wrong, and what to do about it.
fn certificate_error(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: it needs a new one".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is the clock right?".into()
        }
        CertificateError::NotValidForName => {
            "its certificate is for another name: ask for that, or give it as server_name".into()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            // The library writes `DnsName("localhost")` and `IpAddress(127.0.0.1)`.
            let names: Vec<&str> = presented
                .iter()
                .map(|name| name.split_once('(').map_or(&**name, |(_, inner)| inner))
                .map(|name| name.trim_end_matches(')').trim_matches('"'))
                .collect();
            let names = match names.len() {
                0 => "no name at all".into(),
                _ => names.join(", "),
            };
            let expected = expected.to_str();
            format!(
                "its certificate is for {names}, not for {expected}: ask for such a name, or give it as server_name"
            )
        }
        CertificateError::UnknownIssuer => {
            "its certificate is from nobody that is trusted: if it should be, give its issuer's certificate as roots".into()
        }
        CertificateError::Revoked => "its certificate was revoked: it needs a new one".into(),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is for issuing others: a server needs one of its own (CA:FALSE)".into()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

// --- settings

fn wrong(text: &str) -> io::Error {
    failure("invalid", text)
}
fn certificates(pem: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(wrong("there is no certificate in PEM form")),
        Err(error) => Err(wrong(&format!("the certificate is wrong: {error}"))),
    }
}

/// The names of protocols in an argument: a list of strings, or nil.
pub(in crate::modules) fn alpn_arg(ctx: &mut Ctx, i: usize) -> Result<Vec<Vec<u8>>, Trap> {
    if ctx.arg_or_nil(i).is_nil() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for &name in ctx.list_arg(i)? {
        match ctx.as_str(name) {
            Some(name) if (1..256).contains(&name.len()) => names.push(name.as_bytes().to_vec()),
            Some(_) => {
                let message = "alpn: a protocol's name has 1 to 255 bytes";
                return Err(ctx.throw(ErrorKind::Value, message));
            }
            None => return Err(ctx.wrong_type(i, "a list of strings")),
        }
    }
    Ok(names)
}

pub(in crate::modules) fn server_config(
    ctx: &mut Ctx,
    cert: usize,
    key: usize,
    alpn: Vec<Vec<u8>>,
) -> Result<Arc<ServerConfig>, Trap> {
    let (cert, key) = (ctx.str_arg(cert)?, ctx.str_arg(key)?);
    let made = certificates(cert).and_then(|chain| {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| wrong(&format!("the key is wrong: {error}")))?;
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(tls_error)?.with_no_client_auth();
        let config = builder.with_single_cert(chain, key);
        let mut config =
            config.map_err(|error| wrong(&format!("certificate and key do not fit: {error}")))?;
        config.alpn_protocols = alpn;
        Ok(Arc::new(config))
    });
    made.map_err(|error| io_error(ctx, "", &error))
}

fn client_config(roots: rustls::RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
fn load_system() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(match found.errors.first() {
            Some(error) => format!("the system's certificates cannot be read: {error}"),
            None => "the system has no certificates: give `roots`".into(),
        });
    }
    let config = client_config(roots).map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}
/// `net.__load_roots()`: reads what the system trusts, if that has not been done.
pub(in crate::modules) fn load_roots(ctx: &mut Ctx) -> NativeResult {
    if SYSTEM.get().is_some() && ctx.need_not_block() {
        return ctx.nil();
    }
    let work = || {
        SYSTEM.get_or_init(load_system);
    };
    ctx.block(work, |ctx, ()| ctx.nil())
}
/// `net.__pem(path)`: what the file holds.
pub(in crate::modules) fn pem(ctx: &mut Ctx) -> NativeResult {
    let path = ctx.str_arg(0)?.to_string();
    let asked = path.clone();
    ctx.block(
        move || std::fs::read_to_string(asked),
        move |ctx, read| match read {
            Ok(text) => crate::support::new_str(ctx, &text),
            Err(error) => Err(io_error(ctx, &path, &error)),
        },
    )
}

/// A client's session by arguments: the server's name, and roots as PEM text or nil; and the protocols to offer.
pub(in crate::modules) fn client_session(
    ctx: &mut Ctx,
    name: usize,
    roots: usize,
    alpn: Vec<Vec<u8>>,
) -> Result<io::Result<Session>, Trap> {
    let name = ctx.str_arg(name)?;
    let roots = ctx.opt_str_arg(roots)?;
    let config = match roots {
        None => match SYSTEM.get_or_init(load_system) {
            Ok(config) => Ok(config.clone()),
            Err(text) => Err(failure("certificate", text)),
        },
        Some(pem) => certificates(pem).and_then(|all| {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in all {
                roots.add(certificate).map_err(tls_error)?;
            }
            client_config(roots).map(Arc::new).map_err(tls_error)
        }),
    };
    Ok(config.and_then(|mut config| {
        if !alpn.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = alpn;
        }
        let name = ServerName::try_from(name.to_string())
            .map_err(|_| wrong(&format!("\"{name}\" is no name of a server")))?;
        Session::client(config, name)
    }))
}
