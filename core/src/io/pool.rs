//! The threads that run callbacks: one, and one more whenever a client's callbacks have waited
//! because all threads are inside somebody's slow callback.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::dispatch::Strand;
use super::threaded;
use super::wire::lock;

/// How long callbacks may wait for a thread before another is started.
const PATIENCE: Duration = Duration::from_millis(10);
const MOST_THREADS: usize = 64;
/// A thread beyond the first ends when it has had nothing to do for this long.
const SPARE: Duration = Duration::from_secs(10);

struct Pool {
    ready: VecDeque<(Arc<Strand>, Instant)>,
    threads: usize,
    idle: usize,
    watched: bool,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { ready: VecDeque::new(), threads: 0, idle: 0, watched: false });
static READY: Condvar = Condvar::new();

/// `strand` has callbacks to run.
pub(super) fn schedule(strand: Arc<Strand>) {
    let mut pool = lock(&POOL);
    pool.ready.push_back((strand, Instant::now()));
    if pool.threads == 0 {
        start_thread(&mut pool);
    } else if pool.ready.len() <= pool.idle {
        // Not merely `idle > 0`: a thread counts as idle until it has woken up, perhaps for another strand.
        READY.notify_one();
    } else if !pool.watched {
        pool.watched = true;
        drop(pool);
        threaded::after(PATIENCE, watch);
    }
}

/// Starts a thread if callbacks have waited too long, and looks again while any wait.
fn watch() {
    let mut pool = lock(&POOL);
    let waiting = pool.ready.front().map(|(_, since)| since.elapsed());
    let short = pool.ready.len() > pool.idle && pool.threads < MOST_THREADS;
    if short && waiting.is_some_and(|waiting| waiting >= PATIENCE) {
        start_thread(&mut pool);
    }
    pool.watched = waiting.is_some();
    if pool.watched {
        drop(pool);
        threaded::after(PATIENCE, watch);
    }
}

fn start_thread(pool: &mut Pool) {
    let thread = std::thread::Builder::new().name("iothub-callback".into());
    match thread.spawn(work) {
        Ok(_) => pool.threads += 1,
        // Out of threads or memory: the callbacks wait for a thread that there is.
        Err(error) => log::error!("no thread for callbacks: {error}"),
    }
}

fn work() {
    let mut pool = lock(&POOL);
    loop {
        if let Some((strand, _)) = pool.ready.pop_front() {
            drop(pool);
            if strand.run() {
                schedule(strand);
            }
            pool = lock(&POOL);
            continue;
        }
        pool.idle += 1;
        if pool.threads == 1 {
            // Without a time: an idle process is not woken.
            pool = READY.wait(pool).unwrap_or_else(PoisonError::into_inner);
            pool.idle -= 1;
            continue;
        }
        let (woken, timeout) = READY.wait_timeout(pool, SPARE).unwrap_or_else(PoisonError::into_inner);
        pool = woken;
        pool.idle -= 1;
        if timeout.timed_out() && pool.ready.is_empty() && pool.threads > 1 {
            pool.threads -= 1;
            return;
        }
    }
}
