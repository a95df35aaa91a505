"""Tokenizes ahead of the model, in the order of the documents: in a thread of this process, or in other processes."""

import itertools
import multiprocessing
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from optigram.engine.processes import begin_process
from optigram.scanning.chunks import Chunk, ReadSettings
from optigram.text.documents import Document
from optigram.text.vocabulary import Vocabulary

BATCH, CHARACTERS = 64, 1 << 16  # documents and characters that are tokenized together at most
AHEAD = 8  # batches that may wait


def prefetch(texts: Iterable[Document], vocabulary: Vocabulary, how: ReadSettings, processes: int = 0) -> Iterator[list[Chunk]]:
    """The chunks of documents, batch by batch. Few batches wait, so that memory does not grow with the corpus."""
    batches = _batches(texts)
    if processes:
        yield from _in_processes(batches, vocabulary, how, processes)
    else:
        yield from _in_thread(how.read(batch, vocabulary) for batch in batches)


def _batches(texts: Iterable[Document]) -> Iterator[list[Document]]:
    batch, characters = [], 0
    for document in texts:
        batch.append(document)
        characters += len(document.text)
        if len(batch) >= BATCH or characters >= CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _in_thread(work: Iterator[list[Chunk]]) -> Iterator[list[Chunk]]:
    """What `work` yields, made by a thread that ends with this generator."""
    done: queue.Queue[list[Chunk] | BaseException | None] = queue.Queue(AHEAD)
    unwanted = threading.Event()

    def put(item: list[Chunk] | BaseException | None) -> None:
        while not unwanted.is_set():
            try:
                done.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def run() -> None:
        try:
            for chunks in work:
                put(chunks)
                if unwanted.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (item := done.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        unwanted.set()
        thread.join()


_here: list[tuple[Vocabulary, ReadSettings]] = []  # what a process needs to tokenize


def _begin(vocabulary: Vocabulary, how: ReadSettings) -> None:
    begin_process()
    _here[:] = [(vocabulary, how)]


def _read(batch: list[Document]) -> list[Chunk]:
    vocabulary, how = _here[0]
    return how.read(batch, vocabulary)


def _in_processes(batches: Iterator[list[Document]], vocabulary: Vocabulary, how: ReadSettings, processes: int) -> Iterator[list[Chunk]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (vocabulary, how)) as pool:
        waiting: deque[Future[list[Chunk]]] = deque(pool.submit(_read, batch) for batch in itertools.islice(batches, AHEAD + processes))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(_read, batch) for batch in itertools.islice(batches, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
