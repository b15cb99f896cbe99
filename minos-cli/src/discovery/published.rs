//! What is handed out, ready to be sent, and the word to those who wait for news.

use minos::{Result, discovery::Listing};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// What changes at once is told at once: one answer for many changes.
const TOGETHER: Duration = Duration::from_millis(20);

/// An answer to `GET /directory`.
#[derive(Default)]
pub(super) struct Answer {
    /// The revision, as an `ETag`.
    pub(super) tag: String,
    pub(super) body: Vec<u8>,
}

pub(super) struct Published {
    answer: watch::Sender<Arc<Answer>>,
    changed: Notify,
}

impl Published {
    pub(super) fn new() -> Self {
        Published { answer: watch::Sender::default(), changed: Notify::new() }
    }

    /// Something may be another now.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Makes the answer again whenever something may be another, and now and then, because time alone can change it.
    pub(super) async fn keep(&self, news: impl Fn() -> Option<Listing>) {
        loop {
            if let Some(listing) = news()
                && let Err(error) = self.publish(&listing)
            {
                tracing::error!(%error, "the directory cannot be written");
            }
            let _ = tokio::time::timeout(Duration::from_millis(500), self.changed.notified()).await;
            tokio::time::sleep(TOGETHER).await;
        }
    }

    fn publish(&self, listing: &Listing) -> Result<()> {
        let tag = format!("\"{}\"", listing.directory.revision);
        if self.answer.borrow().tag != tag {
            self.answer.send_replace(Arc::new(Answer { tag, body: serde_json::to_vec(listing)? }));
        }
        Ok(())
    }

    /// The answer that is not `known`, if one comes in this time; otherwise the one that there is. None before the first.
    pub(super) async fn answer(&self, known: &str, wait: Duration) -> Option<Arc<Answer>> {
        let mut answers = self.answer.subscribe();
        let end = Instant::now() + wait;
        let news = answers.wait_for(|answer| !answer.tag.is_empty() && answer.tag != known);
        let answer = match tokio::time::timeout_at(end, news).await {
            Ok(Ok(answer)) => answer.clone(),
            Ok(Err(_)) | Err(_) => self.answer.borrow().clone(),
        };
        Some(answer).filter(|answer| !answer.tag.is_empty())
    }

    /// Answers all who wait, with something that nobody knows, so that they ask somebody else.
    pub(super) fn end(&self) {
        let last = self.answer.borrow().clone();
        let body = last.body.clone();
        self.answer.send_replace(Arc::new(Answer { tag: format!("{}-", last.tag.trim_end_matches('"')) + "\"", body }));
    }
}
