using BgSync.Http.LiteDB.Files;

namespace BgSync.Http.LiteDB;

/// <summary>The content of the file.</summary>
internal interface ILiteSchema
{
    /// <summary>The version that is written.</summary>
    byte Version { get; }

    /// <summary>
    /// Runs when the file has been opened, in a transaction of its own: makes the collections, brings those of an earlier version up to
    /// date, and takes back what the process before has left. It may run again after a crash.
    /// </summary>
    /// <param name="session">Within the transaction.</param>
    /// <param name="version">The version of the file; 0 when it is new.</param>
    void Prepare(LiteSession session, byte version);

    /// <summary>Puts what was read from a damaged file into a fresh one. It begins and commits as many transactions as it wants.</summary>
    /// <param name="session">The fresh file, not prepared yet.</param>
    /// <param name="documents">The documents that could be read, in no order; to be enumerated once.</param>
    /// <param name="version">The version of the damaged file.</param>
    /// <returns>How much was recovered, for the log.</returns>
    (int Entries, int DeadLetters) Restore(LiteSession session, IEnumerable<SalvagedDocument> documents, byte version);
}
