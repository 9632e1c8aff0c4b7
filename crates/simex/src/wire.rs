//! Connections that know when a request began and can break off where they are told to.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::wall_us;

const NO_CUT: u64 = u64::MAX;

/// What the server and its connection say to each other.
#[derive(Debug)]
pub struct WireState {
    /// When the first byte after the last answer came; 0: none yet.
    first_byte_us: AtomicI64,
    /// Bytes of the answer that may still go out.
    budget: AtomicU64,
    /// Break off with RST rather than FIN.
    reset: AtomicBool,
    /// Bytes of the request that are still read before a reset.
    request_left: AtomicU64,
}

/// After how many bytes the next request at a server is reset, and how that request starts.
#[derive(Clone, Debug, Default)]
pub struct RequestCut(Arc<Mutex<Option<(u64, &'static str)>>>);

impl RequestCut {
    /// Resets the connection of the next request that starts so, once so many of its bytes have come;
    /// a request that is not longer is not touched.
    pub fn set(&self, bytes: u64, start: &'static str) {
        *self.cut() = Some((bytes, start));
    }

    fn cut(&self) -> MutexGuard<'_, Option<(u64, &'static str)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes a request that begins with these may have; a cut is used up by it.
    fn take(&self, first: &[u8]) -> u64 {
        let cut = self.cut().take_if(|(_, start)| first.starts_with(start.as_bytes()));
        cut.map_or(NO_CUT, |(bytes, _)| bytes)
    }
}

impl Default for WireState {
    fn default() -> Self {
        Self {
            first_byte_us: AtomicI64::new(0),
            budget: AtomicU64::new(NO_CUT),
            reset: AtomicBool::new(false),
            request_left: AtomicU64::new(NO_CUT),
        }
    }
}

/// The server's end of a [`WireState`].
#[derive(Clone, Debug, Default)]
pub struct WireHandle(Arc<WireState>);

impl WireHandle {
    /// When the running request began, microseconds since 1970; forgets it.
    #[must_use]
    pub fn take_first_byte_us(&self) -> i64 {
        self.0.request_left.store(NO_CUT, Ordering::SeqCst);
        match self.0.first_byte_us.swap(0, Ordering::SeqCst) {
            0 => wall_us(),
            at => at,
        }
    }

    /// Breaks the connection after so many bytes of the answer, with RST or FIN.
    pub fn cut_after(&self, bytes: u64, reset: bool) {
        self.0.reset.store(reset, Ordering::SeqCst);
        self.0.budget.store(bytes, Ordering::SeqCst);
    }
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    state: Arc<WireState>,
    cut: RequestCut,
    /// More of a request came than it may have: the next read breaks off.
    overflowed: bool,
}

impl Wire {
    /// Reads what a request may still have before its reset.
    fn read_part(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.overflowed) {
            return self.broken_off();
        }
        let mut bytes = vec![0; buffer.remaining()];
        let mut seen = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(context, &mut seen) {
            Poll::Ready(Ok(())) if !seen.filled().is_empty() => {}
            other => return other,
        }
        let left = &self.state.request_left;
        if left.load(Ordering::SeqCst) == NO_CUT {
            left.store(self.cut.take(seen.filled()), Ordering::SeqCst);
        }
        let most = left.load(Ordering::SeqCst);
        let kept = usize::try_from(most).unwrap_or(usize::MAX).min(seen.filled().len());
        if most != NO_CUT {
            left.store(most.saturating_sub(kept as u64), Ordering::SeqCst);
        }
        self.overflowed = kept < seen.filled().len();
        if kept > 0 {
            buffer.put_slice(&seen.filled()[..kept]);
            return Poll::Ready(Ok(()));
        }
        // More came than the request may have.
        self.broken_off()
    }

    /// The end of the connection: closing with a zero linger time sends RST.
    fn broken_off(&self) -> Poll<io::Result<()>> {
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let cut =
            self.state.request_left.load(Ordering::SeqCst) != NO_CUT || self.cut.cut().is_some();
        let read = if cut {
            self.read_part(context, buffer)
        } else {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        };
        if buffer.filled().len() > before {
            let unset = (Ordering::SeqCst, Ordering::SeqCst);
            let _ = self.state.first_byte_us.compare_exchange(0, wall_us(), unset.0, unset.1);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let budget = self.state.budget.load(Ordering::SeqCst);
        if budget == NO_CUT {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        if budget == 0 {
            if self.state.reset.load(Ordering::SeqCst) {
                // Closing with a zero linger time sends RST.
                let _ = self.stream.set_zero_linger();
            }
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
        }
        let most = usize::try_from(budget).unwrap_or(usize::MAX).min(bytes.len());
        let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..most]);
        if let Poll::Ready(Ok(count)) = written {
            self.state.budget.store(budget - count as u64, Ordering::SeqCst);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Listens on loopback for [`Wire`]s.
#[derive(Debug)]
pub struct WireListener {
    /// Where connections come from.
    pub listener: TcpListener,
    /// Whether the next request is reset.
    pub cut: RequestCut,
}

impl Listener for WireListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let _ = stream.set_nodelay(true);
        let state = Arc::new(WireState::default());
        (Wire { stream, state, cut: self.cut.clone(), overflowed: false }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, WireListener>> for WireHandle {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        Self(Arc::clone(&stream.io().state))
    }
}
