namespace BgSync.Http.LiteDB;

/// <summary>LiteDB has met something in the file that cannot be.</summary>
internal sealed class LiteDamageException(Exception cause) : Exception(cause.Message, cause);
