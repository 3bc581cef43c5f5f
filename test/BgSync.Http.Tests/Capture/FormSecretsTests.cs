using System.Text;
using BgSync.Http.Capture;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>A form with a password or a token is known by the names of its fields.</summary>
public sealed class FormSecretsTests
{
    private const string Form = "application/x-www-form-urlencoded";

    [Theory]
    [InlineData(Form, "grant_type=refresh_token&refresh_token=x", true)]
    [InlineData(Form, "a=1&client_secret=x", true)]
    [InlineData(Form, "a=1&REFRESH_TOKEN=x&b", true)]
    [InlineData(Form, "password", true)]
    [InlineData(Form, "p%61ssword=x", true)]
    [InlineData(Form, "%70%61%73%73%77%6F%72%64=x", true)]
    [InlineData(Form, "%63%6c%69%65%6e%74%5f%73%65%63%72%65%74=x", true)]
    [InlineData(" Application/X-WWW-Form-UrlEncoded ; charset=utf-8", "password=x", true)]
    [InlineData(Form, "a=password&b=grant_type", false)]
    [InlineData(Form, "new_password=x&passwordx=y&pass+word=z&%70=1", false)]
    [InlineData(Form, "a=1;password=x", false)]
    [InlineData(Form, "", false)]
    [InlineData("application/json", "password=x", false)]
    [InlineData("application/x-www-form-urlencoded-not", "password=x", false)]
    public void A_field_is_compared_by_its_decoded_name(string type, string body, bool expected) =>
        Assert.Equal(expected, FormSecrets.AreIn([new("Content-Language", "en"), new("content-type", type)], Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void A_request_without_content_or_type_is_no_form()
    {
        Assert.False(FormSecrets.AreIn(null, default));
        Assert.False(FormSecrets.AreIn([], "password=x"u8));
        Assert.False(FormSecrets.IsForm([]));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public void No_more_than_64_KiB_are_looked_at(int tooFar, bool expected)
    {
        var body = $"a={new string('x', FormSecrets.StartLength - 2 - "&password".Length + tooFar)}&password=x";
        Assert.Equal(expected, FormSecrets.AreIn([new("Content-Type", Form)], Encoding.UTF8.GetBytes(body)));
    }

    [Fact]
    public async Task The_contents_of_the_framework_are_seen_through()
    {
        foreach (var content in (HttpContent[])
            [
                new FormUrlEncodedContent([new("a", "ł"), new("Client_Secret", "x")]),
                new StringContent("client_secret=x", Encoding.UTF8, Form),
            ])
        {
            var headers = HeaderCapture.Copy(content.Headers, new HashSet<string>());
            Assert.True(FormSecrets.AreIn(headers, await content.ReadAsByteArrayAsync()));
        }
    }
}
