//! What both vocabularies say alike about an advertised service.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use pilotfish_supervisor::{Backoff, Health, Job, OnFailure, Restarts, Service, Start};

use crate::config::{ReadFile, Surroundings};
use crate::interfaces::{self, Interface, InterfaceSpec};
use crate::reader::{Object, Place, Reader};
use crate::when;

/// How restarts wait when the document does not say.
pub(crate) const DEFAULT_BACKOFF: Backoff =
    Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(10), reset_after: Duration::from_secs(10) };

/// A job and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) job: Job,
    pub(crate) place: Place,
    /// Where the document says what starts it.
    pub(crate) when: Place,
    /// The document says how long its process may run, be it for ever.
    pub(crate) timeout_given: bool,
}

impl Draft {
    /// A job that stands at `place`, as does what starts it.
    pub(crate) fn new(job: Job, place: Place) -> Draft {
        Draft { job, when: place.clone(), place, timeout_given: false }
    }
}

/// A job with all defaults.
pub(crate) fn job(name: String) -> Job {
    Job {
        name,
        process: None,
        start: Start::On(when::at_startup()),
        after: None,
        restarts: Restarts::Limited(0),
        backoff: DEFAULT_BACKOFF,
        on_failure: OnFailure::Ignore,
        timeout: None,
        stopping_timeout: None,
        main: false,
        health: None::<Health>,
        service: None,
    }
}

/// The surroundings, prepared for looking addresses up.
pub(crate) struct Context<'s> {
    pub(crate) surroundings: &'s Surroundings,
    /// Reads a file as text, or says why it cannot.
    pub(crate) read_file: &'s ReadFile<'s>,
    interfaces: Vec<Interface>,
}

impl<'s> Context<'s> {
    pub(crate) fn new(surroundings: &'s Surroundings, read_file: &'s ReadFile<'s>) -> Context<'s> {
        let mut interfaces = surroundings.interfaces.clone();
        interfaces::sort(&mut interfaces);
        Context { surroundings, read_file, interfaces }
    }

    /// The address that `interfaces` of an object choose.
    pub(crate) fn address(&self, reader: &mut Reader, object: &Object<'_>) -> String {
        let place = object.place_of("interfaces");
        let texts = reader.texts(object, "interfaces");
        if texts.is_empty() {
            let found = interfaces::find_default(&self.interfaces);
            if found.is_none() {
                reader.warn(
                    &place,
                    "there is no address but loopback; 127.0.0.1 is advertised, which only this host can reach",
                );
            }
            return found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_string();
        }
        let mut specs = Vec::new();
        for text in &texts {
            match InterfaceSpec::parse(text) {
                Ok(spec) => specs.push(spec),
                Err(message) => reader.problem(&place, message),
            }
        }
        let found = interfaces::find(&specs, &self.interfaces);
        if found.is_none() && specs.len() == texts.len() {
            reader.problem(&place, self.no_match(&texts));
        }
        found.map(|address| address.to_string()).unwrap_or_default()
    }

    fn no_match(&self, texts: &[String]) -> String {
        let list = |names: Vec<String>| if names.is_empty() { "none".into() } else { names.join(", ") };
        let present = self.interfaces.iter().map(|interface| format!("{} ({})", interface.name, interface.address));
        format!(
            "none of the interface specifications were able to match: {}; interfaces here: {}",
            list(texts.to_vec()),
            list(present.collect())
        )
    }

    /// Reads the registration of a service; `initial_status` is left out.
    pub(crate) fn service(
        &self,
        reader: &mut Reader,
        object: &Object<'_>,
        name: &str,
        port: u16,
        ttl: Duration,
    ) -> Service {
        let mut service = self.registration(name, self.address(reader, object), port, ttl);
        service.tags = reader.texts(object, "tags");
        service.meta = reader.text_map(object, "meta");
        if let Some(extras) = reader.object(object, "consul") {
            service.enable_tag_override = reader.boolean(&extras, "enableTagOverride").unwrap_or(false);
            service.exit_on_conflict = reader.boolean(&extras, "exitOnConflict").unwrap_or(false);
            let least = Duration::from_millis(1);
            service.deregister_critical_after = reader.duration(&extras, "deregisterCriticalServiceAfter", least);
        }
        service
    }

    pub(crate) fn registration(&self, name: &str, address: String, port: u16, ttl: Duration) -> Service {
        Service {
            id: format!("{name}-{}", self.surroundings.hostname),
            name: name.into(),
            address,
            port,
            tags: Vec::new(),
            meta: Vec::new(),
            ttl,
            initial_status: None,
            enable_tag_override: false,
            deregister_critical_after: None,
            exit_on_conflict: false,
        }
    }
}

/// Complains about a name that no catalog takes: DNS labels, and `watch.<name>` must stay unambiguous.
pub(crate) fn check_name(reader: &mut Reader, place: &Place, name: &str) {
    if name.is_empty() {
        reader.problem(place, "'name' must not be blank");
    } else if !is_service_name(name) {
        let message = format!(
            "`{name}`: service names must be alphanumeric with dashes to comply with service discovery (a lower-case letter, then at least one letter, digit or -)"
        );
        reader.problem(place, message);
    }
}

/// Whether events can tell a job of this name from a watch or a template, and a log can show it.
pub(crate) fn is_job_name(name: &str) -> bool {
    let is_other = |prefix| name.starts_with(prefix);
    !name.is_empty() && !is_other("watch.") && !is_other("template.") && !name.chars().any(char::is_control)
}

/// `^[a-z][a-zA-Z0-9\-]+$`, as in ContainerPilot.
pub(crate) fn is_service_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() > 1
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The variable that holds a service's address.
pub(crate) fn address_variable(name: &str) -> String {
    format!("CONTAINERPILOT_{}_IP", name.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_labels_of_dns() {
        for name in ["shop", "shop-7", "a1", "webShop", "shop-"] {
            assert!(is_service_name(name), "{name}");
        }
        for name in ["", "s", "Shop", "7shop", "-shop", "web_shop", "web.shop", "web shop", "shop%", "caf\u{e9}"] {
            assert!(!is_service_name(name), "{name}");
        }
    }

    #[test]
    fn the_address_of_a_service_is_in_a_variable() {
        assert_eq!(address_variable("web-shop7"), "CONTAINERPILOT_WEB_SHOP7_IP");
    }
}
