import { theme as antd, type GlobalToken, type ThemeConfig } from 'antd'

const FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif'
const CODE_FONTS = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono CJK SC", monospace'

const shared = { borderRadius: 10, fontSize: 15, lineHeight: 1.65, fontFamily: FONTS, fontFamilyCode: CODE_FONTS }

type Algorithm = Exclude<NonNullable<ThemeConfig['algorithm']>, unknown[]>

/** The dark algorithm dims the accent it is given and greys the grounds; these stay warm, and words stay above 4.5 : 1. */
const night: Algorithm = (_seed, map) => ({
  ...(map as NonNullable<typeof map>),
  colorPrimary: '#F08A4B', colorPrimaryHover: '#F6A571', colorPrimaryActive: '#D97736',
  colorInfo: '#F08A4B', colorLink: '#F4A06A', colorLinkHover: '#F8B98F', colorLinkActive: '#D97736',
  colorError: '#F2736B', colorErrorText: '#F58B84', colorErrorHover: '#F79C96',
  colorBgLayout: '#151210', colorBgContainer: '#1C1815', colorBgElevated: '#27221D', colorBgSpotlight: '#4A4038',
  colorBorder: '#4A4038', colorBorderSecondary: '#342D27',
  colorTextSecondary: 'rgba(243, 236, 228, 0.78)', colorTextTertiary: 'rgba(243, 236, 228, 0.62)', colorTextQuaternary: 'rgba(243, 236, 228, 0.48)',
})

const day: Algorithm = (_seed, map) => ({
  ...(map as NonNullable<typeof map>),
  colorError: '#C4302B', colorErrorText: '#B3261E',
  colorTextSecondary: 'rgba(31, 26, 21, 0.76)', colorTextTertiary: 'rgba(31, 26, 21, 0.62)', colorTextQuaternary: 'rgba(31, 26, 21, 0.5)',
})

/** Ember on warm greys. Every colour of the page is one of these or is derived from them by Ant Design. */
export function themeOf(dark: boolean, still: boolean): ThemeConfig {
  return dark
    ? {
        algorithm: [antd.darkAlgorithm, night],
        token: { ...shared, motion: !still, colorPrimary: '#F08A4B', colorInfo: '#F08A4B', colorBgBase: '#14110F', colorTextBase: '#F3ECE4' },
        // Dark text on the light ember: white would be 2.4 : 1.
        components: { Button: { primaryColor: '#241208' } },
      }
    : {
        algorithm: [antd.defaultAlgorithm, day],
        token: {
          ...shared, motion: !still,
          colorPrimary: '#C8501E', colorInfo: '#C8501E', colorLink: '#B0441A',
          colorBgBase: '#FFFDFA', colorTextBase: '#1F1A15',
          colorBgLayout: '#F6F1EA',
        },
      }
}

/** The page's own style sheets speak in these; they come from the same tokens as the components. */
export function cssVariables(token: GlobalToken): Record<string, string> {
  return {
    '--h-bg': token.colorBgContainer,
    '--h-bg-side': token.colorBgLayout,
    '--h-bg-raised': token.colorBgElevated,
    '--h-fill': token.colorFillTertiary,
    '--h-fill-soft': token.colorFillQuaternary,
    '--h-line': token.colorBorderSecondary,
    '--h-line-strong': token.colorBorder,
    '--h-text': token.colorText,
    '--h-text-soft': token.colorTextSecondary,
    '--h-text-faint': token.colorTextTertiary,
    '--h-ember': token.colorPrimary,
    '--h-ember-bg': token.colorPrimaryBg,
    '--h-ember-hover': token.colorPrimaryBgHover,
    '--h-link': token.colorLink,
    '--h-good': token.colorSuccess,
    '--h-warn': token.colorWarning,
    '--h-bad': token.colorError,
    '--h-bad-text': token.colorErrorText,
    '--h-warn-bg': token.colorWarningBg,
    '--h-warn-line': token.colorWarningBorder,
    '--h-radius': `${token.borderRadius}px`,
    '--h-radius-large': `${token.borderRadiusLG * 1.5}px`,
    '--h-font': token.fontFamily,
    '--h-font-code': token.fontFamilyCode,
    '--h-size': `${token.fontSize}px`,
    '--h-size-small': `${token.fontSizeSM}px`,
    '--h-line-height': String(token.lineHeight),
    '--h-shadow': token.boxShadowTertiary,
    '--h-code-word': token.magenta7,
    '--h-code-string': token.green7,
    '--h-code-number': token.volcano7,
    '--h-code-name': token.blue7,
    '--h-code-type': token.purple7,
  }
}
