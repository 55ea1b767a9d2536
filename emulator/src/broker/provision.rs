//! Devices come from the provisioning service.

use super::Broker;
use crate::auth::Credential;
use crate::dps::{Reprovision, Terms};
use crate::error::HubError;
use crate::identity::Identity;
use crate::registry::Record;
use crate::time::now_text;
use crate::twins::Twin;

impl Broker {
    /// Registers `device` as `terms` have it, or changes it where it is there already and keeps the
    /// rest, or starts it anew where they say so. Whether it was there.
    pub(crate) fn provision(
        &self,
        device: &Identity,
        credential: &Credential,
        terms: &Terms,
    ) -> Result<bool, HubError> {
        let existed = self.state().registry.get(device).is_some();
        let assign = |record: &mut Record| {
            record.credential = credential.clone();
            record.set_edge(device.device_id(), terms.edge);
        };
        if existed && terms.reprovision != Reprovision::Reset {
            self.change(device, None, |record| {
                assign(record);
                Ok(())
            })?;
            return Ok(true);
        }
        if existed {
            self.delete(device, None)?;
        }
        let twin = Twin::initial(&terms.tags, &terms.desired, &now_text()).map_err(HubError::argument)?;
        let mut record = Record::new(credential.clone());
        assign(&mut record);
        self.create_with(device, record, twin)?;
        Ok(existed)
    }
}
