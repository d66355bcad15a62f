use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use certificate::{Authorities, Authority, AuthoritySettings, UnfitOcsp};
use terms::{Clock, Live};

use super::chooser::Chooser;
use super::files::Pair;
use super::offer::{Offer, Tickets, every_rule};
use super::settings::{ClientCertificates, TlsSettings};
use super::tickets::tickets;
use super::{CertificateFiles, TlsError};
use crate::BindError;

/// The certificates of all listeners, and the authorities that vouch for clients. Cloned, it is still the same ones.
#[derive(Clone, Debug)]
pub struct Certificates {
    clock: Arc<dyn Clock>,
    listeners: Arc<[Listener]>,
    authority_settings: Arc<[AuthoritySettings]>,
    authorities: Arc<Live<Authorities>>,
    /// What was last read of each file. Held while files are read, never for a request.
    held: Arc<Mutex<Held>>,
}

#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    settings: TlsSettings,
    tickets: Tickets,
    offer: Arc<Live<Offer>>,
}

#[derive(Debug, Default)]
struct Held {
    /// Of each listener, of each of its certificates.
    pairs: Vec<Vec<Kept>>,
    /// What is wrong with files of which the last good state is in force.
    faults: Vec<String>,
}

#[derive(Clone, Debug)]
struct Kept {
    pair: Pair,
    unfit_ocsp: Option<UnfitOcsp>,
}

/// One certificate that is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// Where, as it is configured.
    pub listener: SocketAddr,
    /// The file that it comes from.
    pub certificate: PathBuf,
    /// Until when it holds.
    pub not_after: SystemTime,
    /// Whether an OCSP response was configured for it and is not fit to be stapled.
    pub unfit_ocsp: Option<UnfitOcsp>,
}

/// What came of reading the files again.
#[derive(Debug, Default)]
pub struct Renewed {
    /// How many certificates and authorities are other ones now.
    pub changed: usize,
    /// What is wrong with those that stay as they were, as far as that is news.
    pub faults: Vec<String>,
}

impl Certificates {
    /// Reads every file.
    pub(crate) fn open(
        listeners: &[(SocketAddr, TlsSettings)],
        authorities: &[AuthoritySettings],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BindError> {
        let opened: Result<Vec<_>, _> = authorities.iter().map(Authority::open).collect();
        let opened = Authorities::new(opened.map_err(|error| BindError::Authority(Box::new(error)))?);
        let mut shared = HashMap::new();
        let (mut made, mut held) = (Vec::new(), Held::default());
        for (address, settings) in listeners {
            let at = |source| BindError::Tls { address: *address, source: Box::new(source) };
            let pairs: Result<Vec<_>, _> = settings.certificates.iter().map(|files| open(files, &*clock)).collect();
            let pairs = pairs.map_err(at)?;
            let keys: Result<Tickets, _> =
                every_rule(settings).map(|(_, clients)| keys(clients, settings.ticket_rotation, &mut shared)).collect();
            let unusable = |source| at(unusable(settings, source));
            let keys = keys.map_err(unusable)?;
            let offer = Offer::new(settings, &keys, chooser(settings, &pairs), &opened).map_err(unusable)?;
            let offer = Arc::new(Live::new(offer));
            made.push(Listener { address: *address, settings: settings.clone(), tickets: keys, offer });
            held.pairs.push(pairs);
        }
        Ok(Self {
            clock,
            listeners: made.into(),
            authority_settings: authorities.into(),
            authorities: Arc::new(Live::new(opened)),
            held: Arc::new(Mutex::new(held)),
        })
    }

    pub(crate) fn offers(&self) -> impl Iterator<Item = &Arc<Live<Offer>>> {
        self.listeners.iter().map(|listener| &listener.offer)
    }

    pub(crate) const fn authorities(&self) -> &Arc<Live<Authorities>> {
        &self.authorities
    }

    pub(crate) const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Reads all files again. New connections get the new certificates, those that are open keep theirs; what clients
    /// have presented is judged anew where authorities have changed. What cannot be used stays as it was.
    #[must_use]
    pub fn renew(&self) -> Renewed {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut changed, mut faults) = (0, Vec::new());
        let authorities = self.renew_authorities(&mut changed, &mut faults);
        let stale = changed > 0;
        for (listener, kept) in self.listeners.iter().zip(&mut held.pairs) {
            let before = changed;
            for (files, kept) in listener.settings.certificates.iter().zip(kept.iter_mut()) {
                match open(files, &*self.clock) {
                    Ok(next) if same(&next, kept) => {}
                    Ok(next) => {
                        *kept = next;
                        changed += 1;
                    }
                    Err(error) => faults.push(terms::chain(&error)),
                }
            }
            if changed > before || stale {
                let chooser = chooser(&listener.settings, kept);
                match Offer::new(&listener.settings, &listener.tickets, chooser, &authorities) {
                    Ok(offer) => listener.offer.replace(offer),
                    Err(error) => faults.push(terms::chain(&error)),
                }
            }
        }
        let news = faults.iter().filter(|fault| !held.faults.contains(fault)).cloned().collect();
        held.faults = faults;
        Renewed { changed, faults: news }
    }

    fn renew_authorities(&self, changed: &mut usize, faults: &mut Vec<String>) -> Arc<Authorities> {
        let before = self.authorities.snapshot();
        let mut next = Vec::with_capacity(self.authority_settings.len());
        let mut differ = 0;
        for settings in self.authority_settings.iter() {
            let old = before.get(&settings.id).cloned();
            match Authority::open(settings) {
                Ok(new) if old.as_ref().is_some_and(|old| new.is_same(old)) => next.extend(old),
                Ok(new) => {
                    next.push(new);
                    differ += 1;
                }
                Err(error) => {
                    faults.push(terms::chain(&error));
                    next.extend(old);
                }
            }
        }
        if differ == 0 {
            return before;
        }
        *changed += differ;
        self.authorities.replace(Authorities::new(next));
        self.authorities.snapshot()
    }

    /// The certificates that are served.
    #[must_use]
    pub fn served(&self) -> Vec<Served> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_listener = |(listener, kept): (&Listener, &Vec<Kept>)| {
            let (address, files) = (listener.address, listener.settings.certificates.clone());
            files.into_iter().zip(kept.clone()).map(move |(files, kept)| Served {
                listener: address,
                certificate: files.certificate,
                not_after: kept.pair.parsed.validity.not_after,
                unfit_ocsp: kept.unfit_ocsp,
            })
        };
        self.listeners.iter().zip(&held.pairs).flat_map(of_listener).collect()
    }

    /// How many certificates and authorities have files that cannot be used, so that what was read of them before is in
    /// force.
    #[must_use]
    pub fn faulty(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).faults.len()
    }

    /// Every file that is read.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let of_clients =
            self.authority_settings.iter().flat_map(|authority| [Some(&authority.ca), authority.crl.as_ref()]);
        let certificates = self.listeners.iter().flat_map(|listener| &listener.settings.certificates);
        let ours = certificates.flat_map(|files| [Some(&files.certificate), Some(&files.key), files.ocsp.as_ref()]);
        ours.chain(of_clients).flatten().map(PathBuf::as_path).collect()
    }
}

fn open(files: &CertificateFiles, clock: &dyn Clock) -> Result<Kept, TlsError> {
    let (pair, unfit_ocsp) = files.open(clock.now())?;
    Ok(Kept { pair, unfit_ocsp })
}

fn chooser(settings: &TlsSettings, kept: &[Kept]) -> Chooser {
    Chooser::new(kept.iter().map(|kept| &kept.pair).zip(settings.certificates.iter().map(|files| files.shown)))
}

/// The key matches the certificate, so it need not be compared.
fn same(one: &Kept, other: &Kept) -> bool {
    let (a, b) = (&one.pair.key, &other.pair.key);
    a.cert == b.cert && a.ocsp == b.ocsp && one.unfit_ocsp == other.unfit_ocsp
}

/// Keys for the tickets of one rule: one for all rules that ask for no certificate and rotate alike, whichever listener
/// they belong to, and one of its own for each that does.
fn keys(
    clients: &ClientCertificates,
    rotation: Duration,
    shared: &mut HashMap<Duration, Arc<dyn rustls::server::ProducesTickets>>,
) -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    match clients {
        ClientCertificates::Optional(_) | ClientCertificates::Required(_) => tickets(rotation),
        ClientCertificates::Off => {
            if let Some(keys) = shared.get(&rotation) {
                return Ok(Arc::clone(keys));
            }
            let keys = tickets(rotation)?;
            shared.insert(rotation, Arc::clone(&keys));
            Ok(keys)
        }
    }
}

fn unusable(settings: &TlsSettings, source: rustls::Error) -> TlsError {
    let path = settings.certificates.first().map(|files| files.certificate.clone()).unwrap_or_default();
    TlsError::Certificate { path, source }
}
