//! Which lines count: the groups between `#if` and `#endif`.

use std::ops::Range;

/// The groups that are open, outermost first.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    /// Where its `#if` stands.
    start: Range<usize>,
    state: State,
    has_else: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Lines count.
    Counts,
    /// No condition has held so far.
    Waits,
    /// A condition has held before, or the group is inside of one that does not count.
    Done,
}

impl Groups {
    /// Whether lines count here.
    pub(super) fn count(&self) -> bool {
        self.0.last().is_none_or(|group| group.state == State::Counts)
    }

    /// Where the innermost `#if` stands that has no `#endif` yet.
    pub(super) fn open(&self) -> Option<Range<usize>> {
        self.0.last().map(|group| group.start.clone())
    }

    /// `#if`; the condition is asked only if it matters.
    pub(super) fn start(
        &mut self,
        start: Range<usize>,
        condition: impl FnOnce() -> Result<bool, String>,
    ) -> Result<(), String> {
        let holds = if self.count() { Some(condition()) } else { None };
        let state = match holds {
            Some(Ok(true)) => State::Counts,
            Some(Ok(false)) => State::Waits,
            Some(Err(_)) | None => State::Done,
        };
        self.0.push(Group { start, state, has_else: false });
        holds.map_or(Ok(()), |holds| holds.map(|_| ()))
    }

    /// `#elif`; the condition is asked only if it matters.
    pub(super) fn alternative(
        &mut self,
        condition: impl FnOnce() -> Result<bool, String>,
    ) -> Result<(), String> {
        let group = self.0.last_mut().ok_or("there is no `#if` for this `#elif`")?;
        if group.has_else {
            return Err("this `#elif` comes after `#else`".to_owned());
        }
        match group.state {
            State::Counts => group.state = State::Done,
            State::Waits if condition()? => group.state = State::Counts,
            State::Waits | State::Done => {}
        }
        Ok(())
    }

    /// `#else`.
    pub(super) fn otherwise(&mut self) -> Result<(), String> {
        let group = self.0.last_mut().ok_or("there is no `#if` for this `#else`")?;
        if group.has_else {
            return Err("this is the second `#else`".to_owned());
        }
        group.has_else = true;
        group.state = if group.state == State::Waits { State::Counts } else { State::Done };
        Ok(())
    }

    /// `#endif`.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.0.pop().map(|_| ()).ok_or_else(|| "there is no `#if` for this `#endif`".to_owned())
    }
}
