//! Long-running tasks under watch: a process in which one of them ended by itself would go on
//! looking healthy, so that end is told to whoever can end the process.

use std::{collections::HashMap, future::Future};

use tokio::task::{Id, JoinSet};

/// A task ended although nobody told it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} ended by itself; see the log for the cause, and start the redirector again")]
pub struct Ended(pub &'static str);

/// Tasks that end together.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a task under a name that people know it by.
    pub(crate) fn spawn<T>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) {
        let handle = self.running.spawn(async move {
            task.await;
        });
        self.names.insert(handle.id(), name);
    }

    /// Waits until one of them has ended, be it by a panic.
    pub(crate) async fn first_end(&mut self) -> Ended {
        match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => self.ended(id),
            Some(Err(error)) => self.ended(error.id()),
            None => std::future::pending().await,
        }
    }

    /// Waits until all have ended, as they were told to.
    pub(crate) async fn join(mut self) {
        while let Some(ended) = self.running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task ended badly");
            }
        }
    }

    fn ended(&self, id: Id) -> Ended {
        Ended(self.names.get(&id).copied().unwrap_or("a task"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("the quiet one", std::future::pending::<()>());
        tasks.spawn("the loud one", async { panic!("on purpose") });
        let ended = tasks.first_end().await;
        assert_eq!(ended, Ended("the loud one"));
        assert!(ended.to_string().starts_with("the loud one ended by itself"));
    }

    #[tokio::test]
    async fn a_task_that_returns_is_named_too() {
        let mut tasks = Tasks::default();
        tasks.spawn("the short one", async { 7 });
        assert_eq!(tasks.first_end().await, Ended("the short one"));
    }
}
