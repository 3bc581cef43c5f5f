using LiteDB;

namespace BgSync.Http.LiteDB.Files;

/// <summary>A document that could be read from a damaged file.</summary>
/// <param name="Collection">Where it was; <see langword="null"/> when the names of the collections cannot be read.</param>
/// <param name="Document">An older state of it can come as well, and both can be older than what the caller of a store was told.</param>
internal readonly record struct SalvagedDocument(string? Collection, BsonDocument Document);
