use std::path::PathBuf;
use std::time::Duration;

use ingress::{
    CertificateFiles, ClientCertificates, HostName, LONGEST_TICKET_ROTATION, Shown, Suite, TlsSettings, TlsVersion,
};
use terms::{Finding, Span};
use yaml::At;

use super::Compiler;
use super::authority::AuthorityNames;
use crate::settings::file;

const TICKET_ROTATION: Duration = Duration::from_secs(60 * 60);
const SHORTEST_TICKET_ROTATION: Duration = Duration::from_secs(60);

impl Compiler<'_> {
    pub(super) fn tls(&mut self, tls: file::Tls, authorities: &AuthorityNames) -> Option<TlsSettings> {
        let file::Tls { certificates, min_version, suites, ticket_rotation, client_certificates, hosts } = tls;
        let min_version = min_version.map_or(Some(TlsVersion::Tls12), |version| self.parse(&version));
        let suites = suites.map_or(Some(Vec::new()), |suites| self.suites(&suites, min_version));
        let clients = client_certificates.map(|clients| self.client_certificates(clients, authorities));
        let hosts: Vec<_> = hosts
            .0
            .into_iter()
            .map(|(name, host)| {
                let name: Option<HostName> = self.parse(&name);
                let clients = self.client_certificates(host.client_certificates, authorities);
                Some((name?, clients?))
            })
            .collect();
        Some(TlsSettings {
            certificates: self.certificates(certificates)?,
            min_version: min_version?,
            suites: suites?,
            ticket_rotation: ticket_rotation.map_or(Some(TICKET_ROTATION), |rotation| self.rotation(&rotation))?,
            clients: clients.unwrap_or(Some(ClientCertificates::Off))?,
            hosts: hosts.into_iter().collect::<Option<_>>()?,
        })
    }

    fn certificates(&mut self, certificates: At<Vec<file::Certificate>>) -> Option<Vec<CertificateFiles>> {
        if certificates.value.is_empty() {
            self.error(&certificates, "tls without a certificate".into(), "give it one, or leave `tls` out");
            return None;
        }
        let mut shown_to_others = false;
        let mut files = Vec::with_capacity(certificates.value.len());
        for file::Certificate { certificate, key, ocsp, default } in certificates.value {
            let shown = match &default {
                Some(default) if default.value && shown_to_others => {
                    self.error(default, "two certificates are the default".into(), "mark one of them");
                    Shown::ToOthers
                }
                Some(default) if default.value => Shown::ToOthers,
                Some(_) | None => Shown::ByName,
            };
            shown_to_others |= shown == Shown::ToOthers;
            files.push(CertificateFiles {
                certificate: PathBuf::from(certificate.value),
                key: PathBuf::from(key.value),
                ocsp: ocsp.map(|ocsp| PathBuf::from(ocsp.value)),
                shown,
            });
        }
        Some(files)
    }

    fn suites(&mut self, written: &At<Vec<At<String>>>, min_version: Option<TlsVersion>) -> Option<Vec<Suite>> {
        let (mut suites, mut good) = (Vec::new(), true);
        for name in &written.value {
            let Ok(suite) = name.value.parse::<Suite>() else {
                good = false;
                self.unknown_suite(name);
                continue;
            };
            if min_version.is_some_and(|min_version| suite.version() < min_version) {
                let message = format!("`{suite}` is of TLS 1.2, and `min_version` is 1.3");
                self.error(name, message, "leave it out, or lower `min_version`");
            }
            if suites.contains(&suite) {
                self.error(name, "this suite stands here twice".into(), "the first place counts; leave it out here");
            }
            suites.push(suite);
        }
        let speaks = |version| suites.iter().any(|suite| suite.version() == version);
        if good && !speaks(TlsVersion::Tls13) {
            self.error(written, "no suite here is of TLS 1.3".into(), "add `TLS_AES_128_GCM_SHA256`, for example");
        }
        if good && min_version == Some(TlsVersion::Tls12) && !speaks(TlsVersion::Tls12) {
            self.error(written, "no suite here is of TLS 1.2".into(), "add one, or write `min_version: \"1.3\"`");
        }
        Some(suites)
    }

    fn unknown_suite(&mut self, name: &At<String>) {
        let known: Vec<_> = Suite::all().map(|suite| suite.to_string()).collect();
        let message = format!("`{}` is not a cipher suite that can be spoken here", name.value);
        let finding = Finding::error(name.spot.place(self.file), message);
        self.findings.push(match terms::nearest(&name.value, known.iter().map(String::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("known here: `{}`", known.join("`, `"))),
        });
    }

    fn rotation(&mut self, written: &At<Span>) -> Option<Duration> {
        let rotation = written.value.0;
        if !(SHORTEST_TICKET_ROTATION..=LONGEST_TICKET_ROTATION).contains(&rotation) {
            let help = "a key that lives longer gives away more when it is stolen";
            self.error(written, "keys of tickets are changed after 1m to 6h".into(), help);
            return None;
        }
        Some(rotation)
    }
}
