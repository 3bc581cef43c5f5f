namespace BgSync.Http.Storage.Format;

/// <summary>Times as they are stored: milliseconds since 1970, and the greatest number for never.</summary>
internal static class UnixTime
{
    private static readonly long _never = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    /// <summary>The last time that is not never.</summary>
    public static long LastMoment => _never - 1;

    public static long Of(DateTimeOffset time) => time == DateTimeOffset.MaxValue ? long.MaxValue : time.ToUnixTimeMilliseconds();

    public static DateTimeOffset ToTime(long milliseconds) =>
        milliseconds >= _never ? DateTimeOffset.MaxValue : DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    /// <summary>A time that is not before <paramref name="delay"/> has passed.</summary>
    public static long After(long now, TimeSpan delay) =>
        delay <= TimeSpan.Zero ? now : now + (long)Math.Ceiling(delay.TotalMilliseconds);
}
