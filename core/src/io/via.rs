//! What lies between this machine and a host, as far as it is chosen.

use super::bind::Bind;
use super::proxy::Proxy;

#[derive(Debug, Clone, Default)]
pub(crate) struct Via {
    pub proxy: Option<Proxy>,
    pub bind: Bind,
}
