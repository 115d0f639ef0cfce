//! `COPY --link`: a layer that is made on top of nothing, so that it is the same on any base (Dockerfile reference,
//! "COPY --link").

use super::{Inputs, Progress, Solver, close};
use crate::error::Error;
use crate::event::StepId;
use crate::pack::Packing;
use crate::snapshot::Layer;
use crate::step::Op;

impl Solver<'_> {
    /// The layer that `op` makes on top of nothing; the stage's tree is given up, as it does not have it.
    pub(super) fn independent(
        &self,
        op: &Op,
        inputs: &Inputs,
        progress: &mut Progress<'_>,
        id: &StepId,
    ) -> Result<Option<Layer>, Error> {
        self.settle(progress)?;
        close(progress)?;
        let mut tree = self.shared.host()?.driver.tree(&[])?;
        tree.begin().and_then(|root| self.perform(op, inputs, root, progress, id))?;
        let changes = tree.finish()?;
        let packing = (!changes.set.is_empty())
            .then(|| Packing::start(self.shared, changes, self.options, &self.guard))
            .transpose()?;
        let layer = packing.map(Packing::wait).transpose()?;
        tree.close(layer.as_slice())?;
        Ok(layer)
    }

    /// The owner that `--chown` of an independent copy names, as numbers: it is placed where no accounts are.
    pub(super) fn numeric_owner(&self, op: &mut Op, progress: &mut Progress<'_>) -> Result<(), Error> {
        let Op::Copy(op) = op else { return Ok(()) };
        let Some(owner) = op.owner.as_mut().filter(|_| op.link) else { return Ok(()) };
        if owner.text.bytes().any(|byte| !byte.is_ascii_digit() && byte != b':') {
            self.settle(progress)?;
            self.shared.fetch(&progress.state.layers)?;
            let view = self.shared.host()?.driver.view(&progress.state.layers)?;
            let (uid, gid) = owner.ids(view.root())?;
            owner.text = format!("{uid}:{gid}");
        }
        Ok(())
    }
}
