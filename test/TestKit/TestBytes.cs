namespace TestKit;

/// <summary>Bodies without meaning.</summary>
public static class TestBytes
{
    /// <summary>The same bytes on every call.</summary>
    public static byte[] Random(int count)
    {
        var bytes = new byte[count];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
