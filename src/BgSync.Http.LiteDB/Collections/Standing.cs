using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>Where an entry stands, and what a change by hand is to know of it.</summary>
/// <param name="Document">The entry.</param>
/// <param name="Head">The entry as the head that it is or would be.</param>
/// <param name="IsHead">Whether it is the head of its lane.</param>
/// <param name="IsInFlight">Whether it is leased, with the head or as the head.</param>
/// <param name="NotBefore">The end of a wait that was asked for; zero if there is none.</param>
/// <param name="Revision">The <see cref="QueuedEntry.Revision"/>.</param>
internal sealed record Standing(BsonDocument Document, Head Head, bool IsHead, bool IsInFlight, long NotBefore, long Revision);
