//! Work of one client that may block, on a helper thread: a callback of the application, a file, a
//! handshake that signs through a callback.
//!
//! A job that hangs is left behind. While it runs no other starts for the same client, so that no
//! callback is called twice at a time and a client has one such thread at most.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use super::resolve::Wake;
use super::wire::lock;

/// The helper of one client. Dropping it leaves a job that runs to itself, and nobody is woken.
pub(super) struct Aside {
    wake: Wake,
    busy: Arc<AtomicBool>,
}

/// A job that was started. Dropping it drops what the job gives, when it does.
pub(super) struct Task<T>(Arc<Mutex<Progress<T>>>);

enum Progress<T> {
    Running,
    Done(T),
    Panicked,
    Taken,
}

/// The job panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

impl Aside {
    /// `wake` is called from the helper thread whenever a job has ended.
    pub(super) fn new(wake: Wake) -> Self {
        Self { wake, busy: Arc::default() }
    }

    /// Whether a job runs, perhaps one that was left behind.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// # Errors
    /// `WouldBlock`: a job runs; any other: the thread could not be started.
    pub(super) fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Task<T>> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let progress = Arc::new(Mutex::new(Progress::Running));
        let ending = Ending {
            progress: Some(Arc::clone(&progress)),
            busy: Arc::clone(&self.busy),
            wake: Arc::downgrade(&self.wake),
        };
        // A thread that does not start drops the ending, which frees the helper again.
        thread::Builder::new().name("iothub-aside".to_owned()).spawn(move || {
            let ending = ending;
            let outcome = job();
            if let Some(progress) = &ending.progress {
                *lock(progress) = Progress::Done(outcome);
            }
        })?;
        Ok(Task(progress))
    }
}

impl<T> Task<T> {
    /// What came of it, once; `None` while it runs.
    pub(super) fn outcome(&self) -> Option<Result<T, Panicked>> {
        let mut progress = lock(&self.0);
        match std::mem::replace(&mut *progress, Progress::Taken) {
            Progress::Running => {
                *progress = Progress::Running;
                None
            }
            Progress::Done(outcome) => Some(Ok(outcome)),
            Progress::Panicked | Progress::Taken => Some(Err(Panicked)),
        }
    }
}

/// Runs at the end of the thread, also when the job panics.
struct Ending<T> {
    /// Taken by the drop.
    progress: Option<Arc<Mutex<Progress<T>>>>,
    busy: Arc<AtomicBool>,
    wake: Weak<dyn Fn() + Send + Sync>,
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        // What nobody waits for any more goes before the next job may start.
        if let Some(progress) = self.progress.take() {
            let mut progress = lock(&progress);
            if matches!(*progress, Progress::Running) {
                *progress = Progress::Panicked;
            }
        }
        self.busy.store(false, Ordering::Release);
        if let Some(wake) = self.wake.upgrade() {
            wake();
        }
    }
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").field("busy", &self.is_busy()).finish_non_exhaustive()
    }
}

/// What a job gives may hold a password.
impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::mpsc;

    use super::*;

    fn helper() -> (Aside, mpsc::Receiver<()>) {
        let (sender, woken) = mpsc::channel();
        (Aside::new(Arc::new(move || sender.send(()).unwrap_or_default())), woken)
    }

    #[test]
    fn a_job_wakes_when_it_is_done_and_runs_alone() {
        let (aside, woken) = helper();
        let (release, released) = mpsc::channel::<()>();
        let task = aside.start(move || released.recv().map(|()| 7)).unwrap();
        assert!(task.outcome().is_none() && aside.is_busy());
        assert_eq!(aside.start(|| ()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        release.send(()).unwrap();
        woken.recv().unwrap();
        assert!(!aside.is_busy());
        assert_eq!(task.outcome(), Some(Ok(Ok(7))));
        let next = aside.start(|| 8).unwrap();
        woken.recv().unwrap();
        assert_eq!(next.outcome(), Some(Ok(8)));
    }

    #[test]
    fn what_an_abandoned_job_gives_is_dropped_and_the_next_may_start() {
        let (aside, woken) = helper();
        let (release, released) = mpsc::channel::<()>();
        let given = Arc::new(());
        let inside = Arc::clone(&given);
        drop(aside.start(move || (released.recv(), inside)).unwrap());
        assert!(aside.is_busy());
        release.send(()).unwrap();
        woken.recv().unwrap();
        assert!(!aside.is_busy());
        aside.start(|| ()).unwrap();
        woken.recv().unwrap();
        assert!(Arc::try_unwrap(given).is_ok());
    }

    #[test]
    fn a_job_that_panics_is_over() {
        let (aside, woken) = helper();
        let task = aside.start(|| panic!("on purpose")).unwrap();
        woken.recv().unwrap();
        assert_eq!(task.outcome(), Some(Err::<(), _>(Panicked)));
        assert!(!aside.is_busy());
    }

    #[test]
    fn nobody_is_woken_once_the_helper_is_gone() {
        let (aside, woken) = helper();
        let (release, released) = mpsc::channel::<()>();
        drop(aside.start(move || released.recv()).unwrap());
        drop(aside);
        // The sender lived in the wake, which nothing holds any more although the thread still runs.
        assert_eq!(woken.recv(), Err(mpsc::RecvError));
        drop(release);
    }
}
