using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>A reply as dead letters and receipts hold it, beside its status.</summary>
internal static class ResponseDocument
{
    public static BsonDocument? Of(StoredResponse? reply) => reply is null ? null : new BsonDocument
    {
        ["headers"] = NameValues.Of(reply.Headers),
        ["body"] = reply.Body.ToArray(),
        ["isWhole"] = reply.IsWhole,
    };

    /// <returns><see langword="null"/> when there is none, or none that can be read.</returns>
    public static StoredResponse? Read(BsonDocument document, int? statusCode) =>
        statusCode is { } status
            && document.Document("reply") is { } reply
            && NameValues.Read(reply.Array("headers")) is { } headers
            ? new StoredResponse(status, headers, reply.Bytes("body") ?? [], reply.Flag("isWhole"))
            : null;
}
