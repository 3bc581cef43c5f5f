using System.Net.Http.Headers;
using System.Net.Sockets;
using BgSync.Http.Outcomes;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Outcomes;

/// <summary>The texts that failures leave in logs and stores.</summary>
public sealed class FailureTextTests
{
    private const string Secret = "s3cr3t-token";

    public static TheoryData<Exception, string> Failures => new()
    {
        { new HttpRequestException("There is no connection."), "HttpRequestException: There is no connection." },
        {
            new HttpRequestException(HttpRequestError.ConnectionError, "outer", new IOException("refused")),
            "ConnectionError: refused"
        },
        { new InvalidOperationException("outer", new IOException("inner")), "IOException: inner" },
        { new FormatException($"The value '{Secret}' is invalid."), "FormatException: A value does not have the format that it needs." },
        { new ArgumentException(Secret), "ArgumentException: A value was not accepted." },
        { new ArgumentOutOfRangeException("x", Secret, "y"), "ArgumentOutOfRangeException: A value was not accepted." },
        { new HttpRequestException("", new FormatException(Secret)), "FormatException: A value does not have the format that it needs." },
        { new TimeoutException("Too late."), "Timeout: Too late." },
        {
            new TaskCanceledException("The time is up.", new TimeoutException("x", new SocketException((int)SocketError.OperationAborted))),
            "Timeout: The time is up."
        },
        {
            new TaskCanceledException("x", new IOException("y", new SocketException((int)SocketError.OperationAborted))),
            "Canceled: The attempt was broken off."
        },
        { new OperationCanceledException("Given up."), "OperationCanceledException: Given up." },
        { new HttpRequestException("x", new Polly.Timeout.TimeoutRejectedException()), $"Timeout: {PollyMessage}" },
        { new InvalidOperationException("Bearer abc.def-x_y= was refused"), "InvalidOperationException: Bearer … was refused" },
        { new InvalidOperationException("'Authorization: basic dTpw'"), "InvalidOperationException: 'Authorization: basic …'" },
        { new InvalidOperationException("GET http://u:p@ss@host/x"), "InvalidOperationException: GET http://…@host/x" },
        { new InvalidOperationException("GET http://host/@u and a@b"), "InvalidOperationException: GET http://host/@u and a@b" },
    };

    /// <summary>Each kind of character that must not reach a terminal, and what stands for it.</summary>
    public static TheoryData<string, string> Unfit => new()
    {
        { "plain, ä, 日本, 🙂", "plain, ä, 日本, 🙂" },
        { "", "" },
        { "\u001b]0;owned\u0007", "\uFFFD]0;owned\uFFFD" },
        { "\0a\u001fb\u007fc\u0080d\u009be\u009f", "\uFFFDa\uFFFDb\uFFFDc\uFFFDd\uFFFDe\uFFFD" },
        { "one\r\ntwo\tthree", "one\\r\\ntwo\\tthree" },
        { "a\u2028b\u2029c", "a\uFFFDb\uFFFDc" },
        { "\u202Aa\u202Bb\u202Cc\u202Dd\u202E", "\uFFFDa\uFFFDb\uFFFDc\uFFFDd\uFFFD" },
        { "\u2066a\u2067b\u2068c\u2069", "\uFFFDa\uFFFDb\uFFFDc\uFFFD" },
        { "\u2027\u202F\u2065\u206A\u00A0~", "\u2027\u202F\u2065\u206A\u00A0~" },
        { "a\ud83d", "a\uFFFD" },
        { "\ude42a", "\uFFFDa" },
        { "\ud83d\ud83d\ude42", "\uFFFD🙂" },
    };

    /// <summary>Headers, and the parts of their values that an exception may quote.</summary>
    public static TheoryData<string, string, string> Headers => new()
    {
        { "X-Api-Key", Secret, Secret },
        { "X-Api-Key", $" {Secret} ", Secret },
        { "Authorization", $"Bearer {Secret}", Secret },
        { "Authorization", $"Own {Secret}", Secret },
        { "Authorization", Secret, Secret },
        { "Proxy-Authorization", $"Own {Secret}", Secret },
        { "Cookie", $"a=1; session={Secret}; b=2", Secret },
        { "Cookie", Secret, Secret },
        { "Content-Language", Secret, Secret },
        { "X-Short", "abcd", "abcd" },
    };

    private static string PollyMessage => new Polly.Timeout.TimeoutRejectedException().Message;

    [Theory]
    [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public void A_failure_is_told_by_its_kind_and_its_message(Exception failure, string text) =>
        Assert.Equal(text, FailureText.Of(failure));

    [Theory]
    [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public void A_failure_is_told_alike_in_every_culture(Exception failure, string text)
    {
        foreach (var culture in Cultures.Names)
        {
            using var changed = new CultureScope(culture);
            Assert.Equal(text, FailureText.Of(failure));
        }
    }

    [Theory]
    [MemberData(nameof(Unfit))]
    public void Control_characters_are_replaced(string text, string clean)
    {
        Assert.Equal(clean, FailureText.Clean(text));
        Assert.Equal($"IOException: {clean}", FailureText.Of(new IOException(text)));
    }

    [Fact]
    public void A_text_without_control_characters_is_left_as_it_is()
    {
        var text = new string('a', 1000);

        Assert.Same(text, FailureText.Clean(text));
        Assert.Null(FailureText.Clean(null));
    }

    [Theory]
    [MemberData(nameof(Headers))]
    public void The_values_of_headers_are_taken_out(string name, string value, string quoted)
    {
        using var request = new HttpRequestMessage { Content = new StringContent("") };
        Assert.True(request.Headers.TryAddWithoutValidation(name, value)
            || request.Content.Headers.TryAddWithoutValidation(name, value));

        var text = FailureText.Of(new InvalidOperationException($"The server says '{quoted}', '{quoted}'."), request);

        Assert.Equal("InvalidOperationException: The server says '…', '…'.", text);
    }

    [Fact]
    public void A_value_of_three_characters_is_no_secret()
    {
        using var request = new HttpRequestMessage();
        request.Headers.Add("X-Flag", "not");

        Assert.Equal("IOException: It is not there.", FailureText.Of(new IOException("It is not there."), request));
    }

    [Fact]
    public void A_value_that_is_a_part_of_another_one_leaves_nothing_of_it()
    {
        using var request = new HttpRequestMessage();
        request.Headers.Add("X-Part", Secret[..6]);
        request.Headers.Add("X-Whole", Secret);

        Assert.Equal("IOException: …", FailureText.Of(new IOException(Secret), request));
    }

    [Fact]
    public void A_value_with_characters_of_other_scripts_is_found_by_its_code_points()
    {
        using var request = new HttpRequestMessage();
        request.Headers.TryAddWithoutValidation("X-Key", "IıİiŞifre");

        Assert.Equal("IOException: … ıIİişifre", FailureText.Of(new IOException("IıİiŞifre ıIİişifre"), request));
    }

    [Theory]
    [InlineData(480, 494)]
    [InlineData(487, 500)]
    [InlineData(5000, 500)]
    public void A_text_ends_after_500_characters(int length, int expected)
    {
        var text = FailureText.Of(new IOException(new string('x', length)));

        Assert.Equal(Math.Min(expected, length + "IOException: ".Length), text.Length);
    }

    [Fact]
    public void A_text_is_not_cut_inside_a_surrogate_pair()
    {
        var even = FailureText.Of(new IOException(string.Concat(Enumerable.Repeat("🙂", 400))));
        var odd = FailureText.Of(new IOException("x" + string.Concat(Enumerable.Repeat("🙂", 400))));

        Assert.Equal((499, 500), (even.Length, odd.Length));
        Assert.EndsWith("🙂", even, StringComparison.Ordinal);
        Assert.EndsWith("🙂", odd, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_at_the_end_of_a_long_text_is_taken_out_before_the_text_is_cut()
    {
        using var request = new HttpRequestMessage();
        request.Headers.Authorization = new AuthenticationHeaderValue("Own", Secret);

        var text = FailureText.Of(new IOException(new string('x', 482) + Secret), request);

        Assert.EndsWith("x…", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_status_line_of_control_characters_leaves_none_of_them()
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.WriteAsync("\u001b]0;owned\u0007\u001b[2J\r\n\r\n", cancellationToken);
        });
        using var client = new HttpClient();

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(server.Uri));

        var text = FailureText.Of(failure);
        Assert.Contains("]0;owned\uFFFD", text, StringComparison.Ordinal);
        Assert.DoesNotContain(text, char.IsControl);
    }
}
