namespace BgSync.Http.Storage.Sqlite;

/// <summary>Times as they are stored: milliseconds since 1970, and the greatest number for never.</summary>
internal static class UnixTime
{
    private static readonly long _last = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    public static long Of(DateTimeOffset time) => time == DateTimeOffset.MaxValue ? long.MaxValue : time.ToUnixTimeMilliseconds();

    public static DateTimeOffset ToTime(long milliseconds) =>
        milliseconds >= _last ? DateTimeOffset.MaxValue : DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    /// <summary>A time that is not before <paramref name="delay"/> has passed.</summary>
    public static long After(long now, TimeSpan delay) =>
        delay <= TimeSpan.Zero ? now : now + (long)Math.Ceiling(delay.TotalMilliseconds);
}
