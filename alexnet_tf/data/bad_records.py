"""Records that cannot be used: counted, named, and refused beyond a limit."""
import threading


class StorageError(ValueError):
    """A file that is gone or that the system cannot read. It is no fault of a record, so it is never tolerated."""


class BadRecords:
    """The records of a split that cannot be used, by position: at most `limit`, each told to `log` once.

    lost: how many more the folder's description names that no file has.
    """

    def __init__(self, limit, log):
        self.limit, self.lost = limit, 0
        self._log, self._known, self._lock = log, set(), threading.Lock()

    def __len__(self):
        return len(self._known) + self.lost

    def __contains__(self, position):
        return int(position) in self._known

    def lose(self, count, path):
        """Counts records that a file should have and of which nothing is left. Raises: ValueError beyond the limit."""
        if len(self) + count > self.limit:
            raise ValueError(f'{path} lacks {count} records, besides those that are there and damaged; '
                             f'--max_bad_records={self.limit} allows no more. Fetch it again, or write it again.')
        self.lost += count
        self._log(f'{path} lacks {count} records, which count as bad ones.')

    def add(self, position, error):
        """Notes a record, known or not; `error` says what is wrong with it.

        Raises: the error itself if it is a StorageError or no bad record is allowed; ValueError beyond the limit.
        """
        if isinstance(error, StorageError) or not self.limit:
            raise error from None
        with self._lock:
            if position in self:
                return
            if len(self) >= self.limit:
                raise ValueError(f'{error} It is bad record number {len(self) + 1}; --max_bad_records={self.limit} '
                                 'allows no more.') from None
            self._known.add(int(position))
            self._log(f'Bad record {len(self)} of at most {self.limit}, left out: {error}')

    def good(self, function, positions):
        """Yields function(position) of every good record; one for which it raises ValueError is added."""
        for position in positions:
            try:
                yield function(position)
            except ValueError as error:
                self.add(position, error)
