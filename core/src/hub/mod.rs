//! The rules of IoT Hub, pure: no socket, no clock, no thread.
//!
//! The client asks this module how to name itself, sign, and address messages; the local hub asks
//! it the same questions from the other side. Facts come from Microsoft's page "Communicate with
//! an IoT hub using the MQTT protocol" unless an item names another source.

pub mod connection_string;
pub mod credential;
pub(crate) mod date;
pub mod desired;
pub mod identity;
mod json;
pub mod message;
pub mod method;
pub mod percent;
pub mod policy;
pub mod property_bag;
pub mod sas;
pub mod system_property;
pub mod topic;
pub mod twin;

pub use connection_string::ConnectionString;
pub use credential::{Credential, Doubt, Proof, SasSigner, TokenSource};
pub use desired::Desired;
pub use identity::{Identity, UsernameQuery};
pub use message::{MAX_MESSAGE, Message};
pub use method::{Method, MethodRequest, Methods};
pub use policy::Policy;
pub use sas::{SasToken, SharedAccessKey};
pub use system_property::SystemProperty;
pub use twin::{Twin, TwinAnswer};
