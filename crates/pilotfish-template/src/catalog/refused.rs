//! The functions that consul-template has and we do not, each with the reason and the way round.

use crate::functions::Functions;

const VAULT: &str = "Vault is not spoken here; let Vault Agent write the secret to a file and read it with `file`";
const NOMAD: &str = "Nomad is not spoken here; register the service in Consul and use `service`";
const MESH: &str = "Consul's service mesh is not spoken here; let the sidecar fetch its certificates";
const ENTERPRISE: &str = "it needs partitions or peers, which are not supported; use `service` with a datacenter";
const SPRIG: &str = "Sprig's functions are not included; Go's own and consul-template's do most of it \
                     (`toUpper`, `trim`, `replaceAll`, `split`, `envOrDefault`, `toJSON`...)";

/// The name, or with an asterisk the beginning of names, and why.
const REFUSED: [(&str, &str); 17] = [
    ("plugin", "a rendering runs no programs; run it as a job that writes a file, and read that with `file`"),
    (
        "writeToFile",
        "a rendering writes nothing but its own destination; make a template with that file as its destination",
    ),
    ("secret", VAULT),
    ("secrets", VAULT),
    ("pkiCert", VAULT),
    ("nomadServices", NOMAD),
    ("nomadService", NOMAD),
    ("nomadVar*", "Nomad is not spoken here; keep the value in Consul and use `key`"),
    ("connect", MESH),
    ("caRoots", MESH),
    ("caLeaf", MESH),
    ("exportedServices", ENTERPRISE),
    ("importedServices", ENTERPRISE),
    ("partitions", ENTERPRISE),
    ("peerings", ENTERPRISE),
    ("sprig_*", SPRIG),
    ("byPort", "maps have texts as keys here; use `byTag` or `byMeta`, or compare `.Port` in a `range`"),
];

pub(super) fn add(functions: &mut Functions) {
    for (name, reason) in REFUSED {
        functions.refuse(name, reason);
    }
}
