using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>A response as dead letters and receipts hold it, beside its status.</summary>
internal static class ResponseDocument
{
    public static BsonDocument? Of(StoredResponse? response) => response is null ? null : new BsonDocument
    {
        ["headers"] = NameValues.Of(response.Headers),
        ["body"] = response.Body.ToArray(),
        ["isWhole"] = response.IsWhole,
    };

    /// <returns><see langword="null"/> when there is none, or none that can be read.</returns>
    public static StoredResponse? Read(BsonDocument document, int? statusCode) =>
        statusCode is { } status
            && document.Document("reply") is { } response
            && NameValues.Read(response.Array("headers")) is { } headers
            ? new StoredResponse(status, headers, response.Bytes("body") ?? [], response.Flag("isWhole"))
            : null;
}
