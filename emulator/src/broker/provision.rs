//! Devices come from the provisioning service.

use super::Broker;
use crate::auth::Credential;
use crate::dps::InitialTwin;
use crate::error::HubError;
use crate::identity::Identity;
use crate::registry::Record;
use crate::time::now_text;
use crate::twins::Twin;

impl Broker {
    /// Registers `device` with `twin`, or gives it `credential` where it is there already and keeps
    /// the rest, or with `reset` starts it anew. Whether it was there.
    pub(crate) fn provision(
        &self,
        device: &Identity,
        credential: &Credential,
        twin: &InitialTwin,
        reset: bool,
    ) -> Result<bool, HubError> {
        let existed = self.state().registry.get(device).is_some();
        if existed && !reset {
            self.change(device, None, |record| {
                record.credential = credential.clone();
                Ok(())
            })?;
            return Ok(true);
        }
        if existed {
            self.delete(device, None)?;
        }
        let twin = Twin::initial(&twin.tags, &twin.desired, &now_text()).map_err(HubError::argument)?;
        self.create_with(device, Record::new(credential.clone()), twin)?;
        Ok(existed)
    }
}
