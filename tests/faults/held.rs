//! An HTTP server that holds every request until it is told to answer, and counts how many it holds.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How many requests are held now, the most there were, and how many were answered.
#[derive(Default)]
struct Counts {
    now: usize,
    most: usize,
    answered: usize,
}

/// A running server.
pub struct Held {
    /// Scheme, host and port.
    pub origin: String,
    counts: watch::Sender<Counts>,
    released: watch::Sender<bool>,
}

impl Held {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (counts, released) = (watch::Sender::new(Counts::default()), watch::Sender::new(false));
        let held = Self { origin, counts: counts.clone(), released: released.clone() };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (counts, mut released) = (counts.clone(), released.subscribe());
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    // A request fits one read here.
                    while let Ok(1..) = stream.read(&mut buffer).await {
                        counts.send_modify(|counts| {
                            counts.now += 1;
                            counts.most = counts.most.max(counts.now);
                        });
                        let _ = released.wait_for(|released| *released).await;
                        counts.send_modify(|counts| {
                            counts.now -= 1;
                            counts.answered += 1;
                        });
                        if stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        held
    }

    /// Waits until so many are held.
    pub async fn reached(&self, count: usize) {
        self.counts.subscribe().wait_for(|counts| counts.now >= count).await.unwrap();
    }

    /// Waits until so many were answered.
    pub async fn has_answered(&self, count: usize) {
        self.counts.subscribe().wait_for(|counts| counts.answered >= count).await.unwrap();
    }

    /// The most that were held at once.
    pub fn most(&self) -> usize {
        self.counts.borrow().most
    }

    /// Answers what is held, and what comes, at once.
    pub fn release(&self) {
        self.released.send_replace(true);
    }
}
