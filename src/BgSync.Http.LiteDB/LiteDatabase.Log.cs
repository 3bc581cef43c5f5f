using Microsoft.Extensions.Logging;

namespace BgSync.Http.LiteDB;

internal sealed partial class LiteDatabase
{
    private static partial class Log
    {
        [LoggerMessage(4100, LogLevel.Debug, "Opened the queue store {Path}.")]
        public static partial void Opened(ILogger logger, string path);

        [LoggerMessage(4101, LogLevel.Error,
            "The queue store {Path} was damaged. It was moved aside whole, to {Aside}; {Entries} entries and {DeadLetters} dead "
            + "letters were recovered from it. Check the disk; keep the old file until nothing is missed.")]
        public static partial void Recovered(ILogger logger, string path, string aside, int entries, int deadLetters);

        [LoggerMessage(4103, LogLevel.Error, "Damage was found in the queue store {Path}; the next call recovers what can be read.")]
        public static partial void DamageFound(ILogger logger, string path, Exception exception);

        [LoggerMessage(4104, LogLevel.Warning,
            "The log of the queue store {Path} could not be written into its data file. Nothing is lost, and it is tried again.")]
        public static partial void CheckpointFailed(ILogger logger, string path, Exception exception);
    }
}
