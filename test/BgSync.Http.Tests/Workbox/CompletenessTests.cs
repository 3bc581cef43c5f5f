using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>All tests of Workbox are here.</summary>
public sealed partial class CompletenessTests
{
    [Fact]
    public void Each_of_the_68_is_ported_once_or_said_to_mean_nothing_here()
    {
        var ported =
            from type in typeof(CompletenessTests).Assembly.GetTypes()
            where type.Namespace == typeof(CompletenessTests).Namespace
            from method in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            where method.IsDefined(typeof(FactAttribute))
            let number = Number().Match(method.Name)
            where number.Success
            select int.Parse(number.Groups[1].Value, CultureInfo.InvariantCulture);

        Assert.Equal(Enumerable.Range(1, 68), ported.Concat(NotApplicable.Reasons.Keys).Order());
        Assert.All(NotApplicable.Reasons.Values, Assert.NotEmpty);
    }

    [GeneratedRegex("^No_([0-9]+)_")]
    private static partial Regex Number();
}
