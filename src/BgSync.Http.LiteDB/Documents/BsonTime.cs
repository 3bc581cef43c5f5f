using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>A time in milliseconds since 1970 as a date that LiteDB's tools show; none for never.</summary>
internal static class BsonTime
{
    // The last one that a date can have.
    private const long Last = 253402300799999;

    public static BsonValue Of(long milliseconds) => milliseconds > Last
        ? BsonValue.Null
        : new BsonValue(DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).UtcDateTime);

    public static long Read(BsonValue value)
    {
        if (!value.IsDateTime)
        {
            return long.MaxValue;
        }

        // A file that another application opened without UTC_DATE gives local time; only the two ends of time come without a kind.
        var date = value.AsDateTime;
        var utc = date.Kind == DateTimeKind.Local ? date.ToUniversalTime() : DateTime.SpecifyKind(date, DateTimeKind.Utc);
        return new DateTimeOffset(utc).ToUnixTimeMilliseconds();
    }
}
