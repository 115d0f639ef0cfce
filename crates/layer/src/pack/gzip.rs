//! gzip on several threads, with bytes that do not depend on how many there are.
//!
//! The input is cut into blocks of 1 MiB. Each is compressed on its own, with the last 32 KiB before it as dictionary,
//! and ends on a byte boundary, so that the results in a row are one deflate stream in one gzip member (RFC 1951,
//! RFC 1952). At most twice as many blocks as threads are in memory.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use flate2::{Compress, Compression, FlushCompress, Status};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Error;

/// Part of what decides a layer's bytes: a change of it changes every digest.
const BLOCK: usize = 1024 * 1024;
const DICTIONARY: usize = 32 * 1024;

/// RFC 1952, section 2.3: deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses what is written to it. The end is only written by [`finish`](Self::finish).
pub(super) struct ParallelGzip<W> {
    out: W,
    level: Compression,
    threads: ThreadPool,
    in_flight: VecDeque<Receiver<io::Result<Block>>>,
    limit: usize,
    block: Vec<u8>,
    previous: Arc<Vec<u8>>,
    checksum: crc32fast::Hasher,
}

/// A compressed block and the checksum of what it was.
struct Block {
    data: Vec<u8>,
    checksum: crc32fast::Hasher,
}

impl<W: Write> ParallelGzip<W> {
    pub(super) fn new(level: u32, threads: usize, mut out: W) -> Result<Self, Error> {
        let threads = threads.max(1);
        // A pool of its own: waiting for results in a worker of a shared one could wait forever.
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        out.write_all(&HEADER).map_err(|source| Error::WriteArchive { source })?;
        Ok(Self {
            out,
            level: Compression::new(level),
            threads: pool.map_err(|source| Error::Threads { threads, source })?,
            in_flight: VecDeque::new(),
            limit: 2 * threads,
            block: Vec::with_capacity(BLOCK),
            previous: Arc::default(),
            checksum: crc32fast::Hasher::new(),
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.submit(FlushCompress::Finish)?;
        while !self.in_flight.is_empty() {
            self.write_oldest()?;
        }
        // RFC 1952: the size modulo 2³².
        let size = self.checksum.total_len() as u32;
        self.out.write_all(&self.checksum.finalize().to_le_bytes())?;
        self.out.write_all(&size.to_le_bytes())?;
        Ok(self.out)
    }

    /// Gives the current block to a thread.
    fn submit(&mut self, flush: FlushCompress) -> io::Result<()> {
        if self.in_flight.len() == self.limit {
            self.write_oldest()?;
        }
        let block = Arc::new(std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK)));
        let previous = std::mem::replace(&mut self.previous, block.clone());
        let (done, result) = sync_channel(1);
        let level = self.level;
        self.threads.spawn(move || {
            // Nobody waits any more when writing failed meanwhile.
            drop(done.send(compress(&previous, &block, level, flush)));
        });
        self.in_flight.push_back(result);
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.in_flight.pop_front() else { return Ok(()) };
        let block = oldest.recv().map_err(io::Error::other)??;
        self.checksum.combine(&block.checksum);
        self.out.write_all(&block.data)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.submit(FlushCompress::Sync)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn compress(previous: &[u8], block: &[u8], level: Compression, flush: FlushCompress) -> io::Result<Block> {
    // A compressor that is used again with a dictionary gives bytes that depend on what it compressed before
    // (zlib-rs and zlib-ng alike), so each block has its own.
    let mut compressor = Compress::new(level, false);
    let dictionary = &previous[previous.len().saturating_sub(DICTIONARY)..];
    if !dictionary.is_empty() {
        compressor.set_dictionary(dictionary).map_err(io::Error::other)?;
    }
    let mut data = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let consumed = compressor.total_in() as usize;
        let status =
            compressor.compress_vec(&block[consumed..], &mut data, flush).map_err(io::Error::other)?;
        // Room that was not used up means that nothing is held back (zlib.h, deflate, Z_SYNC_FLUSH).
        let complete = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => compressor.total_in() as usize == block.len() && data.len() < data.capacity(),
        };
        if complete {
            break;
        }
        data.reserve(data.capacity() / 2 + 64);
    }
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(block);
    Ok(Block { data, checksum })
}
