//! Probes: the HTTP and TCP checks that the catalog itself carries out.

use crate::catalog::Catalog;

pub(crate) async fn probe_all(_catalog: &Catalog) {
    std::future::pending().await
}
